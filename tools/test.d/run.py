#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The work behind tools/test: builds, runs, counts."""
import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILDS = os.path.join(TOP, "build", "test")
THREADS = ["-Db_sanitize=thread", "-Db_lundef=false"]
# End-to-end tests that run at once: they wait most of their time; those that wait for minutes do so
# beside them.
TOGETHER = 4
LONG = 8
# End-to-end tests that failed are run once more, one by one, if they are no more than this: they
# wait for real programs, and a machine that stood still for a second makes one of thousands late.
# What passes then passed, and is told at the end.
AGAIN = 3
PROGRAMS = ["app/gateway/dpdk-omni", "app/nucleus/omni-nucleus", "app/omnictl/omnictl"]
SANITIZE = ["-Doptimization=1", "-Ddebug=true", "-Db_sanitize=address,undefined",
            "-Db_lundef=false"]


class Run:
    def __init__(self, args):
        self.args = args
        self.began = time.monotonic()
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.unsteady = []

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    @contextlib.contextmanager
    def started(self, argv, log=None, stop=signal.SIGTERM, **env):
        """A process whose output goes to the terminal or to a file. It is over at the end."""
        out = open(log, "wb") if log else None
        p = subprocess.Popen(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=subprocess.STDOUT if log else None,
                             env=dict(os.environ, **env), start_new_session=True)
        try:
            yield p
        finally:
            if p.poll() is None:
                p.send_signal(stop)
                try:
                    p.wait(60)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
            if out:
                out.close()

    def command(self, argv, log=None, stop=signal.SIGTERM, **env):
        """The same to its end: its status."""
        with self.started(argv, log, stop, **env) as p:
            return p.wait()

    def one(self, name, held, detail=""):
        if held:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(name)
            if detail:
                print(detail)
        self.say(f"{'ok' if held else 'FAILED'}: {name}")
        return held

    def build(self, name, options, compiler="gcc", targets=()):
        """Configure and build in build/test/NAME; one test: no error, no warning."""
        where = os.path.join(BUILDS, name)
        log = os.path.join(BUILDS, f"{name}.log")
        os.makedirs(BUILDS, exist_ok=True)
        self.say(f"build {name} ({compiler} {' '.join(options)})")
        status = 0
        if not os.path.exists(os.path.join(where, "build.ninja")):
            status = self.command(["meson", "setup", where, TOP, *options], log, CC=compiler)
        if status == 0:
            status = self.command(["ninja", "-k", "0", "-C", where, *targets], log)
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        quiet = "warning:" not in text
        detail = "\n".join(text.splitlines()[-30:])
        self.one(f"build {name}", status == 0 and quiet, detail)
        return where if status == 0 else None

    def meson_tests(self, where, name, **env):
        """Every test program of a build; cases are counted where the program says them."""
        self.say(f"unit and pipeline tests, {name}")
        argv = ["meson", "test", "-C", where, "--no-rebuild", "--num-processes", "2",
                "--timeout-multiplier", "4" if "asan" in name else "1"]
        if self.args.k:
            listed = subprocess.run(["meson", "test", "-C", where, "--no-rebuild", "--list"],
                                    capture_output=True, text=True, check=True).stdout
            names = [x.split(" / ")[-1] for x in listed.splitlines() if self.args.k in x]
            if not names:
                return
            argv += names
        logs = os.path.join(where, "meson-logs/testlog.json")
        if os.path.exists(logs):
            os.unlink(logs)
        self.command(argv, os.path.join(BUILDS, f"{name}-tests.log"), **env)
        if not os.path.exists(logs):
            self.one(f"{name}: meson test", False)
            return
        with open(logs, encoding="utf-8") as f:
            for line in f:
                self.meson_result(name, json.loads(line))

    def meson_result(self, name, test):
        # cmocka says the cases on the standard output and the sum on the standard error.
        said = (test.get("stdout") or "") + (test.get("stderr") or "")
        title = f"{name}: {test['name']}"
        counts = {w: sum(int(n) for n in re.findall(rf"\[\s+{w}\s+\] (\d+) test\(s\)", said))
                  for w in ("PASSED", "FAILED", "SKIPPED")}
        if test["result"] == "SKIP":
            self.skipped += 1
            self.say(f"skipped: {title}: {said.strip()[-200:]}")
            return
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            cases = counts["PASSED"] or 1
            self.passed += cases
            self.skipped += counts["SKIPPED"]
            self.say(f"ok: {title} ({cases} cases, {test['duration']:.1f} s)")
            return
        self.passed += counts["PASSED"]
        self.failed += counts["FAILED"] or 1
        self.failures.append(f"{title} ({test['result']})")
        print("\n".join(said.splitlines()[-40:]))
        self.say(f"FAILED: {title} ({test['result']})")

    def machine(self):
        """Where the virtual machine of --with-vm lies, for the tests that need it."""
        if not self.args.with_vm:
            return {}
        where, log = os.path.join(BUILDS, "vm"), os.path.join(BUILDS, "vm.log")
        self.say("a Debian kernel and QEMU for --with-vm")
        fetched = self.command([os.path.join(TOP, "tests/vm/fetch"), where], log) == 0
        return {"OMNI_VM": where} if self.one("fetch the virtual machine", fetched) else {}

    def pytest(self, where, short):
        env = {"OMNI_BUILD": where, "OMNI_BUILD_SHORT": short or "", **self.machine()}
        late = len(self.failures)
        self.pytest_parts(env, short)
        self.pytest_again(env, self.failures[late:])

    def pytest_parts(self, env, short):
        self.say("end-to-end and second-implementation tests (pytest)")
        self.pytest_part(env, "-m", "not together and not long")
        together = ("-m", "together", "-n", str(TOGETHER), "--dist", "loadgroup")
        if not short:
            self.pytest_part(env, *together)
            return
        self.say(f"end-to-end tests that wait, {TOGETHER} at once, beside those that wait for"
                 f" minutes, {LONG} at once (pytest)")
        with self.pytest_beside(env, "-m", "long", "-n", str(LONG)):
            self.pytest_part(env, *together)

    def pytest_again(self, env, failures):
        """Those that failed, alone: what fails twice failed."""
        tests = {title: test_of(title) for title in failures}
        if self.args.strict or not 0 < len(tests) <= AGAIN or None in tests.values():
            return
        for title, test in tests.items():
            self.say(f"once more, alone: {title}")
            if self.command(["/usr/bin/python3", "-m", "pytest", test], **env) == 0:
                self.failures.remove(title)
                self.unsteady.append(title)
                self.failed -= 1
                self.passed += 1

    def pytest_part(self, env, *args):
        with tempfile.NamedTemporaryFile(suffix=".xml") as xml_file:
            # SIGINT: pytest then still takes its namespaces and processes down.
            status = self.command(self.pytest_argv(xml_file, args), stop=signal.SIGINT, **env)
            self.count_report(xml_file, status)

    @contextlib.contextmanager
    def pytest_beside(self, env, *args):
        """The same beside what is done meanwhile. What it said is shown where something failed."""
        log = os.path.join(BUILDS, "long-tests.log")
        with tempfile.NamedTemporaryFile(suffix=".xml") as xml_file:
            with self.started(self.pytest_argv(xml_file, args), log, signal.SIGINT, **env) as p:
                yield
                status = p.wait()
            failed = self.failed
            self.count_report(xml_file, status)
        if self.failed > failed:
            with open(log, encoding="utf-8", errors="replace") as f:
                print(f.read())

    def pytest_argv(self, xml_file, args):
        """Its report goes to that file."""
        argv = ["/usr/bin/python3", "-m", "pytest", "--junitxml", xml_file.name, *args]
        return argv + (["-k", self.args.k] if self.args.k else [])

    def count_report(self, xml_file, status):
        try:
            root = xml.etree.ElementTree.parse(xml_file.name).getroot()
        except xml.etree.ElementTree.ParseError:
            self.one("pytest", False, f"it ended with status {status} and no report")
            return
        self.count_cases(root)
        if status not in (0, 1, 5):
            self.one("pytest", False, f"it ended with status {status}")

    def count_cases(self, root):
        for case in root.iter("testcase"):
            title = f"{case.get('classname')}.{case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
                self.failures.append(title)
            elif case.find("skipped") is not None:
                self.skipped += 1
                self.say(f"skipped: {title}: {case.find('skipped').get('message')}")
            else:
                self.passed += 1

    def all(self):
        debug = self.build("debug", ["--buildtype=debug"])
        if debug:
            self.meson_tests(debug, "debug")
        if self.args.quick:
            return
        if not self.args.no_sanitizers:
            asan = self.build("asan", SANITIZE)
            if asan:
                self.meson_tests(asan, "asan", ASAN_OPTIONS="abort_on_error=0:halt_on_error=1",
                                 UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
            tsan = self.build("tsan", ["--buildtype=debugoptimized", *THREADS],
                              targets=["tests/threads/test_routes", "tests/threads/test_threads"])
            if tsan:
                self.meson_tests(tsan, "tsan")
        self.build("clang", ["--buildtype=debug"], "clang")
        short = self.build("short", ["--buildtype=release", "-Dshort-timers=true", "-Dtests=false"],
                           targets=PROGRAMS)
        release = self.build("release", ["--buildtype=release"])
        if release:
            self.pytest(release, short)

    def report(self):
        took = time.monotonic() - self.began
        print()
        for f in self.unsteady:
            print(f"failed once, and passed alone: {f}")
        for f in self.failures:
            print(f"failed: {f}")
        print(f"took {took / 60:.1f} minutes")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed else 0


def test_of(title):
    """How pytest calls the test that its report calls so; None: it is none."""
    name, bracket, case = title.partition("[")
    module, _, function = name.rpartition(".")
    path = module.replace(".", "/") + ".py"
    if not os.path.exists(os.path.join(TOP, path)):
        return None
    return f"{path}::{function}{bracket}{case}"


def interrupted(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main():
    ap = argparse.ArgumentParser(prog="tools/test")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("-k", metavar="NAME")
    ap.add_argument("--no-sanitizers", action="store_true")
    ap.add_argument("--strict", action="store_true")
    ap.add_argument("--with-vm", action="store_true")
    run = Run(ap.parse_args())
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, interrupted)
    try:
        run.all()
    except KeyboardInterrupt as e:
        run.one(f"interrupted {e}", False)
    return run.report()


if __name__ == "__main__":
    sys.exit(main())
