# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two gateways on memif for a moment: frames go from the source to the sink."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import lab  # noqa: E402
import wire  # noqa: E402

BUILT = os.access(lab.program("gateway"), os.X_OK)


@pytest.mark.skipif(os.geteuid() != 0, reason="must run as root")
@pytest.mark.skipif(not BUILT, reason="no release build: OMNI_BUILD names it")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_frames_arrive_and_nothing_stays():
    with lab.Lab() as place:
        if not place.pages(wire.PAGES):
            pytest.skip("no hugepages to be had")
    found = wire.once(64, "aesgcm", 1)
    assert found["mpps"] > 0 and found["a"] > 0 and found["b"] > 0
    assert 0 <= found["lost"] <= 100
    # Other programs of this machine may have namespaces too.
    assert f"ob{os.getpid()}-" not in lab.ip("netns", "list").stdout


def test_a_mix_is_counted_by_its_mean():
    assert wire.bits(64) == 512
    assert wire.bits("imix") == pytest.approx(8 * 347.67, abs=1)
