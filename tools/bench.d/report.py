# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a scenario found: rows, as JSON or as a table."""
import json
import statistics

SCHEMA = 1
LOWER = ("us", "s/GB", "cycles", "%", "KiB", "% of a core")  # units of which less is better


def median(values):
    """Of what was measured; None where nothing was."""
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def percentile(values, p):
    """The value that p per cent do not exceed (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    rank = -(-len(ordered) * p // 100)  # rounded up
    return ordered[max(0, min(len(ordered) - 1, int(rank) - 1))]


def row(subject, metric, runs, unit, limit=None, note=None):
    """One figure: its median, and where there is a limit of the same run the ratio to that."""
    value = median(runs)
    made = {"name": f"{subject}/{metric}", "subject": subject, "metric": metric, "unit": unit,
            "better": "lower" if unit in LOWER else "higher", "value": value, "limit": limit,
            "ratio": value / limit if value is not None and limit else None,
            "runs": list(runs)}
    if note:
        made["note"] = note
    return made


def absent(subject, metric, unit, reason):
    """A figure that could not be taken here, and why."""
    return dict(row(subject, metric, [], unit), note=reason)


class Report:
    def __init__(self, scenario, machine, commit, quick=False):
        self.head = {"schema": SCHEMA, "scenario": scenario, "machine": machine,
                     "commit": commit, "quick": quick}
        self.rows = []
        self.notes = []

    def add(self, *args, **kw):
        self.rows.append(row(*args, **kw))

    def absent(self, *args):
        self.rows.append(absent(*args))

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def as_dict(self):
        return dict(self.head, rows=self.rows, notes=self.notes)

    def json(self):
        return json.dumps(self.as_dict(), indent=1)

    def text(self):
        m = self.head["machine"]
        lines = [f"{self.head['scenario']}: {m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB,"
                 f" {m['system']}, kernel {m['kernel']}; commit {self.head['commit']}", ""]
        return "\n".join(lines + table(self.rows) + [""] + [f"- {n}" for n in self.notes])


def show(value):
    """Three digits that mean something."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def cell(r):
    if r is None or r["value"] is None:
        return "-"
    return show(r["value"]) + (f" ({r['ratio']:.2f})" if r["ratio"] is not None else "")


def table(rows):
    """Markdown: a line per subject, a column per metric; (ratio to the limit) in brackets."""
    metrics, subjects, units, at = [], [], {}, {}
    for r in rows:
        if r["metric"] not in metrics and r["value"] is not None:
            metrics.append(r["metric"])
        if r["subject"] not in subjects:
            subjects.append(r["subject"])
        units[r["metric"]] = r["unit"]
        at[r["subject"], r["metric"]] = r
    notes = {r["subject"]: r["note"] for r in rows if r.get("note")}
    head = [""] + [f"{m}, {units[m]}" if units[m] else m for m in metrics]
    head += ["note"] if notes else []
    lines = [head, ["---"] + ["---:"] * len(metrics) + (["---"] if notes else [])]
    for s in subjects:
        line = [s] + [cell(at.get((s, m))) for m in metrics]
        lines.append(line + ([notes.get(s, "")] if notes else []))
    return ["| " + " | ".join(line) + " |" for line in lines]
