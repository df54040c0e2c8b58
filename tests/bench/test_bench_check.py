# SPDX-License-Identifier: MIT OR Apache-2.0
"""tools/bench --check: made-up runs against each other."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import check  # noqa: E402
import main  # noqa: E402
import report  # noqa: E402

MACHINE = {"cpu": "one", "cores": 2}


def run(rows, machine=None, scenario="peers"):
    return {"schema": 1, "scenario": scenario, "machine": machine or MACHINE, "commit": "abc",
            "quick": False, "rows": rows, "notes": []}


def datapath(mpps, ratio, op="seal", cipher="aesgcm"):
    return {"results": [{"op": op, "cipher": cipher, "size": 64, "mpps": mpps, "gbps": 1.0,
                         "cycles_per_frame": 100, "aead_gbps": 2.0, "ratio": ratio,
                         "stages": {}}]}


@pytest.fixture
def saved(tmp_path):
    def save(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)
    return save


@pytest.fixture
def verdict(saved, capsys):
    """Exit status and words of a comparison."""
    def compare(old, new):
        status = main.main(["--check", saved("old.json", old), saved("new.json", new)])
        return status, capsys.readouterr().out
    return compare


def test_the_same_run_has_no_regression(verdict):
    rows = [report.row("udp", "TCP", [5.0, 6.0, 7.0], "Gb/s", 12.0)]
    assert verdict(run(rows), run(rows)) == (0, "1 figures compared, 0 regressions over 10 %\n")


def test_the_ratio_counts_where_there_is_one(verdict):
    """Half the rate on a machine that is half as fast is no regression."""
    old = run([report.row("udp", "TCP", [6.0], "Gb/s", 12.0)])
    assert verdict(old, run([report.row("udp", "TCP", [3.0], "Gb/s", 6.0)]))[0] == 0
    status, said = verdict(old, run([report.row("udp", "TCP", [6.0], "Gb/s", 15.0)]))
    assert status == 1
    assert "REGRESSION: udp/TCP: ratio 0.5 -> 0.4 of the limit (20 % worse)" in said


def test_rates_count_where_there_is_no_limit(verdict):
    old = run([report.row("bare", "TCP", [10.0], "Gb/s")])
    assert verdict(old, run([report.row("bare", "TCP", [9.1], "Gb/s")]))[0] == 0
    assert verdict(old, run([report.row("bare", "TCP", [8.9], "Gb/s")]))[0] == 1


def test_less_is_better_for_times_and_cycles(verdict):
    old = run([report.row("udp", "ping p50", [100.0], "us")])
    assert verdict(old, run([report.row("udp", "ping p50", [50.0], "us")]))[0] == 0
    status, said = verdict(old, run([report.row("udp", "ping p50", [120.0], "us")]))
    assert status == 1 and "20 % worse" in said


def test_more_of_a_time_ratio_is_worse(verdict):
    old = run([report.row("udp", "ping p50", [20.0], "us", 10.0)])
    assert verdict(old, run([report.row("udp", "ping p50", [40.0], "us", 10.0)]))[0] == 1


def test_a_figure_that_is_gone_is_a_regression(verdict):
    old = run([report.row("udp", "TCP", [10.0], "Gb/s")])
    status, said = verdict(old, run([report.absent("udp", "TCP", "Gb/s", "does not start")]))
    assert status == 1 and "does not start" in said


def test_a_row_that_is_not_there_is_named(verdict):
    old = run([report.row("udp", "TCP", [10.0], "Gb/s")])
    assert verdict(old, run([])) == (0, "absent: udp/TCP: not in the new run\n"
                                     "0 figures compared, 0 regressions over 10 %\n")


def test_what_was_never_there_is_not_compared(verdict):
    old = run([report.absent("udp", "TCP", "Gb/s", "not built")])
    status, said = verdict(old, run([report.row("udp", "TCP", [1.0], "Gb/s")]))
    assert status == 0 and "0 figures" in said


def test_another_machine_is_warned_about(verdict):
    rows = [report.row("udp", "TCP", [10.0], "Gb/s")]
    assert "different machines" in verdict(run(rows), run(rows, {"cpu": "two"}))[1]


def test_datapath_in_its_own_form(verdict):
    assert verdict(datapath(20.0, 0.8), datapath(10.0, 0.79))[0] == 0
    status, said = verdict(datapath(20.0, 0.8), datapath(20.0, 0.6))
    assert status == 1 and "seal/aesgcm/64 B: ratio 0.8 -> 0.6" in said


def test_datapath_rows_of_one_size_are_told_apart(saved):
    kinds = [{}, {"peers": 100}, {"bundles": True}, {"ipv6": True}, {"frames": "imix"},
             {"workers": 2}, {"routes": 1}, {"routes": 100000, "peers": 7},
             {"routes": 1, "dialect": "wireguard"}]
    run = {"results": [dict(datapath(20.0, 0.8)["results"][0], **k) for k in kinds]}
    assert list(check.read(saved("run.json", run))["rows"]) == [
        "seal/aesgcm/64 B", "seal/aesgcm/64 B/100 peers", "seal/aesgcm/64 B/bundles",
        "seal/aesgcm/64 B/IPv6", "seal/aesgcm/imix", "seal/aesgcm/64 B/2 workers",
        "seal/aesgcm/64 B/1 routes", "seal/aesgcm/64 B/7 peers/100000 routes",
        "seal/aesgcm/64 B/1 routes/WireGuard"]


def test_datapath_forward_has_no_limit(verdict):
    old, new = (datapath(r, 0.0, "forward", "none") for r in (50.0, 40.0))
    status, said = verdict(old, new)
    assert status == 1 and "forward/64 B: value 50 -> 40 Mpps" in said


def test_different_scenarios_are_not_compared(verdict):
    assert verdict(run([]), run([], scenario="wire"))[0] == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "scenario": "peers", "rows": []}',
                                  '{"results": [{}]}', '{"schema": 1}'])
def test_what_is_no_run_is_refused(saved, capsys, text):
    path = saved("bad.json", text)
    assert main.main(["--check", path, path]) == 2
    assert path in capsys.readouterr().err


def test_a_missing_file_is_refused(capsys):
    assert main.main(["--check", "/nonexistent/run.json", "/nonexistent/run.json"]) == 2
    with pytest.raises(check.CheckError):
        check.read("/nonexistent/run.json")
