# SPDX-License-Identifier: MIT OR Apache-2.0
"""iperf3 and ping between two namespaces, and what they say."""
import json
import re
import subprocess

from lab import BenchError, RigError, until

TIME = re.compile(r"time=([0-9.]+) ms")


def parse_iperf(text):
    """Received bits per second, packets per second (UDP) and loss in per cent of one run."""
    try:
        run = json.loads(text)
    except ValueError:
        raise BenchError(f"iperf3: {text.strip()[-200:]}") from None
    if run.get("error"):
        raise BenchError(f"iperf3: {run['error']}")
    end = run["end"]
    if "sum_received" in end and "packets" not in end.get("sum", {}):
        got = end["sum_received"]
        return {"gbps": got["bits_per_second"] / 1e9, "bytes": got["bytes"], "mpps": None,
                "lost": None}
    total = end["sum"]
    kept = 1 - total["lost_packets"] / total["packets"] if total["packets"] else 0.0
    return {"gbps": total["bits_per_second"] * kept / 1e9, "bytes": total["bytes"] * kept,
            "mpps": total["packets"] * kept / total["seconds"] / 1e6, "lost": 100 * (1 - kept)}


def parse_ping(text):
    """Round trips in microseconds."""
    return [float(t) * 1000 for t in TIME.findall(text)]


def inside(ns, *argv, timeout=60):
    try:
        return subprocess.run(["ip", "netns", "exec", ns, *argv], capture_output=True, text=True,
                              timeout=timeout)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{argv[0]} did not end in {timeout} s") from None


def iperf(lab, client, server, addr, seconds, *args):
    """One run from a client's namespace to a server's."""
    s = lab.start(server, ["iperf3", "-s", "-1"], "iperf3")
    try:
        until("iperf3's server", 5, lambda: "5201" in inside(
            server, "ss", "-Hltn", "sport", "=", ":5201").stdout)
        p = inside(client, "iperf3", "-J", "-c", addr, "-t", str(seconds), "--connect-timeout",
                   "3000", *args, timeout=seconds + 20)
        return parse_iperf(p.stdout or p.stderr)
    except RigError as e:
        raise BenchError(str(e)) from None
    finally:
        s.kill()
        lab.stop([s])


def ping(ns, addr, count, interval=0.002, size=56):
    """Round trips in microseconds of the answers that came."""
    p = inside(ns, "ping", "-nc", str(count), "-i", str(interval), "-s", str(size), "-W", "1",
               addr, timeout=30 + count * (interval + 0.01))
    return parse_ping(p.stdout)


def reach(ns, addr, seconds=15):
    try:
        until(f"{addr} to answer", seconds, lambda: ping(ns, addr, 1))
    except RigError as e:
        raise BenchError(str(e)) from None
