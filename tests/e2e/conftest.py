# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fixtures of the end-to-end tests: namespaces, and the real programs in them."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]

from rig import Rig, program  # noqa: E402
from topo import Topo  # noqa: E402


# Files whose tests wait for timers rather than work: tools/test runs several of them at once.
TOGETHER = {f"test_{name}" for name in ("crash", "interop", "l3_links", "nucleus", "refused",
                                        "scan")}
TOGETHER |= {f"test_wg_{name}" for name in
             ("docs", "edges", "export", "fragments", "gateways", "host", "mtu", "nested", "netns",
              "peers", "quick", "roaming", "show", "timers", "wire")}
# Those that wait for minutes, against a build of their own: beside the others.
LONG = {"test_wg_long"}
# Tests of these follow each other.
IN_ORDER = {"test_crash", "test_interop", "test_nucleus", "test_refused", "test_wg_docs"}


# Before pytest itself looks at -m.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests must run as root (network namespaces)", returncode=2)
    for item in items:
        name = item.path.stem
        if name in TOGETHER:
            item.add_marker("together")
        if name in LONG:
            item.add_marker("long")
        if name in IN_ORDER:
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session", autouse=True)
def built():
    if not os.access(program("nucleus"), os.X_OK):
        pytest.exit("not built: " + program("nucleus"), returncode=2)


def pytest_runtest_makereport(item, call):
    """Put the last lines of every program's log beside a failure."""
    if call.excinfo is not None and call.when in ("setup", "call"):
        for name in ("rig", "pair", "mesh", "static_pair"):
            value = getattr(item, "funcargs", {}).get(name)
            rig = value if isinstance(value, Rig) else getattr(value, "rig", None)
            if rig is not None:
                item.add_report_section(call.when, "programs", rig.tails())
                break


_count = [0]


def fresh_prefix():
    """Namespaces of concurrent runs must not meet: the process id is in their names."""
    _count[0] += 1
    return f"oe{os.getpid() % 10000}x{_count[0]}"


def make_rig(tmp_path_factory, sites, hosts=True, mtu=1500):
    return raise_rig(tmp_path_factory, Topo(fresh_prefix(), sites, hosts=hosts, mtu=mtu))


def raise_rig(tmp_path_factory, topo):
    try:
        topo.up()
        topo.offloads(False)
    except BaseException:
        topo.down()
        raise
    rig = Rig(topo, str(tmp_path_factory.mktemp("rig")))
    rig.number = _count[0]
    return rig


def drop_rig(rig):
    try:
        rig.stop()
    finally:
        rig.topo.down()


@pytest.fixture
def rig(tmp_path_factory):
    """Two sites with hosts; nothing runs yet. Everything is gone after the test."""
    r = make_rig(tmp_path_factory, 2)
    yield r
    drop_rig(r)


@pytest.fixture(scope="module")
def module_rig(tmp_path_factory):
    """The same, shared by the tests of one file."""
    r = make_rig(tmp_path_factory, 2)
    yield r
    drop_rig(r)


@pytest.fixture
def rig3(tmp_path_factory):
    r = make_rig(tmp_path_factory, 3)
    yield r
    drop_rig(r)
