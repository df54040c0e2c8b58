# SPDX-License-Identifier: MIT OR Apache-2.0
"""The figure of cycles by stage."""
import json
import os
import sys
import xml.etree.ElementTree

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import check  # noqa: E402
import figure  # noqa: E402

SEAL = {"op": "seal", "cipher": "aesgcm", "frames": "64", "cycles_per_frame": 100.0, "ratio": 0.5,
        "stages": {"rx": 10.0, "seal": 70.0, "tx": 20.0}}
FORWARD = {"op": "forward", "cipher": "none", "frames": "64", "cycles_per_frame": 50.0, "ratio": 0,
           "stages": {"rx": 20.0, "tx": 30.0}}


def rects(svg):
    """(stage, width) of every segment."""
    found = []
    for r in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect"):
        for title in r:
            found.append((title.text.split()[0], float(r.get("width"))))
    return found


def test_segments_are_as_long_as_their_stages():
    found = rects(figure.figure([SEAL, FORWARD]))
    scale = (figure.RIGHT - figure.LEFT) / 100
    assert [s for s, _ in found] == ["rx", "seal", "tx", "rx", "tx"]
    assert [w / scale for _, w in found] == pytest.approx([10, 70, 20, 20, 30], abs=0.1)


def test_rows_of_another_kind_are_left_out():
    others = [dict(SEAL, peers=10), dict(SEAL, bundles=True), dict(SEAL, frames="imix"),
              dict(FORWARD, frames="1420"), dict(SEAL, workers=2), dict(SEAL, ipv6=True)]
    assert figure.pick([SEAL, *others, FORWARD]) == [SEAL, FORWARD]


def test_every_stage_of_the_gateway_has_a_colour():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           "../../lib/stats/omni_stats_list.h"), encoding="utf-8") as f:
        stages = f.read().split("#define OMNI_STAGES_LIST(X)")[1]
    names = [line.split("X(")[1].split(",")[0] for line in stages.splitlines() if " X(" in line
             or "\tX(" in line]
    assert names and set(names) <= set(figure.STAGES)


def test_what_is_no_run_is_refused(tmp_path):
    for content in ("", "{}", json.dumps({"results": []}), json.dumps({"results": [{}]})):
        path = tmp_path / "run.json"
        path.write_text(content)
        with pytest.raises(check.CheckError):
            figure.of_run(str(path))
