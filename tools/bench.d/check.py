# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares two runs of one scenario: what became more than 10 % worse."""
import json

TOLERANCE = 0.10


class CheckError(RuntimeError):
    pass


def datapath_rows(results):
    """`datapath --json` in the common form: rates, with the bare cipher's as limit."""
    for r in results:
        size = "imix" if r.get("frames") == "imix" else f"{r['size']:.0f} B"
        parts = [r["op"], *([r["cipher"]] if r["op"] != "forward" else []), size]
        # What older runs do not say is one of each, without bundles.
        parts += [f"{r[k]} {k}" for k in ("peers", "workers") if r.get(k, 1) != 1]
        parts += [f"{r['routes']} routes"] if r.get("routes") else []
        parts += ["bundles"] if r.get("bundles") else []
        parts += ["WireGuard"] if r.get("dialect") == "wireguard" else []
        parts += ["IPv6"] if r.get("ipv6") else []
        yield {"name": "/".join(parts), "unit": "Mpps", "better": "higher", "value": r["mpps"],
               "ratio": r["ratio"] or None}


def read(path):
    """{"scenario": NAME, "machine": {...} or None, "rows": {name: row}} of a saved run."""
    try:
        with open(path, encoding="utf-8") as f:
            run = json.load(f)
        if "results" in run:
            scenario, rows = "datapath", list(datapath_rows(run["results"]))
        else:
            if run.get("schema") != 1:
                raise CheckError(f"{path}: schema {run.get('schema')} is not 1")
            scenario, rows = run["scenario"], run["rows"]
        return {"scenario": scenario, "machine": run.get("machine"), "quick": run.get("quick", False),
                "rows": {r["name"]: r for r in rows}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise CheckError(f"{path}: not a run of tools/bench: {e!r}") from None


def compare_row(old, new):
    """(kind of figure, old, new, change to the better as a part), or None: nothing to compare."""
    kind = "ratio" if old.get("ratio") and new.get("ratio") else "value"
    a, b = old.get(kind), new.get(kind)
    if not a or b is None:
        return None
    change = b / a - 1 if old.get("better") != "lower" else 1 - b / a
    return kind, a, b, change


def compare(old, new):
    """Lines to print, and the number of regressions."""
    if old["scenario"] != new["scenario"]:
        raise CheckError(f"{old['scenario']} and {new['scenario']} are different scenarios")
    lines, worse, compared = [], 0, 0
    if old["machine"] != new["machine"]:
        lines.append("warning: different machines; only ratios mean something")
    for name, a in old["rows"].items():
        b = new["rows"].get(name)
        if b is None:
            lines.append(f"absent: {name}: not in the new run")
            continue
        if a.get("value") is not None and b.get("value") is None:
            lines.append(f"REGRESSION: {name}: no value any more: {b.get('note', '')}")
            worse += 1
            continue
        found = compare_row(a, b)
        if found is None:
            continue
        kind, was, now, change = found
        compared += 1
        if change < -TOLERANCE:
            unit = a["unit"] if kind == "value" else "of the limit"
            lines.append(f"REGRESSION: {name}: {kind} {was:.4g} -> {now:.4g} {unit}"
                         f" ({-100 * change:.0f} % worse)")
            worse += 1
    lines.append(f"{compared} figures compared, {worse} regressions over"
                 f" {100 * TOLERANCE:.0f} %")
    return lines, worse
