# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is read from omni-bench generate, and what headers leave of a shaped uplink."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import lab  # noqa: E402
import ports  # noqa: E402
import shaped  # noqa: E402


def test_what_arrived_and_what_did_not():
    text = json.dumps({"trials": [{"directions": [{"delivered_pps": 2.5e6, "loss": 0.25}]}]})
    assert ports.parse_generate(text) == (2.5, 25.0)


@pytest.mark.parametrize("text", ["", "no such device", "{}", '{"trials": []}'])
def test_no_figures_are_an_error(text):
    with pytest.raises(lab.BenchError):
        ports.parse_generate(text)


def test_headers_leave_of_an_uplink_of_1500():
    assert shaped.headers_leave() == pytest.approx(0.943, abs=0.0005)
