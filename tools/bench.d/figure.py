# SPDX-License-Identifier: MIT OR Apache-2.0
"""A figure of a saved datapath run: the cycles of a frame by stage, as SVG."""
import json
from html import escape

import check

# In the order in which a frame meets them; one colour each, so that figures can be compared.
STAGES = {"rx": "#9aa5b1", "classify": "#c8553d", "outer_reassemble": "#b9a38f",
          "hand_off": "#7a5c3e", "decap_prepare": "#d98e4a",
          "open": "#1b6ca8", "decap_commit": "#b8860b", "reassemble": "#5b7553",
          "gather": "#7f9f7f", "unbundle": "#4fa3a5", "punt": "#333333", "split": "#a89f68",
          "ip_input": "#c9a227", "source_check": "#8c6bb1", "route": "#2e8b57",
          "icmp": "#444444", "ip_fragment": "#708090", "hold": "#666666",
          "learn": "#8e5ea2", "forward": "#3d8361", "replicate": "#6b8e23", "clamp": "#a0522d",
          "fragment": "#708090", "bundle": "#4fa3a5", "encap_prepare": "#d6588f", "seal": "#1b6ca8",
          "outer_fragment": "#8fa0ae", "tx": "#5f6b76"}
SIZES = ("64", "512", "1420")
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 920, 170, 830, 18, 9, 64


def wireguard(row):
    return row.get("dialect") == "wireguard"


def pick(results):
    """The rows that are shown: one peer, no bundles, a few sizes; forwarding at the first one. Of
    L3 clusters those of WireGuard's dialect."""
    def shown(r):
        plain = r.get("peers", 1) == 1 and r.get("workers", 1) == 1 and not r.get("bundles") \
            and (not r.get("routes") or wireguard(r) and r["routes"] == 1)
        sizes = SIZES[:1] if r["op"] == "forward" else SIZES
        return plain and not r.get("ipv6") and r["frames"] in sizes
    return [r for r in results if shown(r)]


def title(row):
    name = "WireGuard" if wireguard(row) else row["cipher"]
    cipher = "" if row["op"] == "forward" else f"{name}, "
    return f"{row['op']}, {cipher}{row['frames']} B"


def bare_cycles(row):
    """Cycles of a frame in the bare cipher; None where there is none."""
    return row["cycles_per_frame"] * row["ratio"] if row.get("ratio") else None


def text(x, y, anchor, what):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(what)}</text>'


def bar(row, y, scale):
    """One row: a segment for each stage, the total, and where the bare cipher alone would end."""
    parts, x = [text(LEFT - 8, y + BAR - 5, "end", title(row))], LEFT
    for stage, colour in STAGES.items():
        width = row["stages"].get(stage, 0) * scale
        if width > 0:
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"'
                         f' fill="{colour}"><title>{stage} {row["stages"][stage]:.0f}</title></rect>')
        x += width
    parts.append(text(x + 6, y + BAR - 5, "start", f"{row['cycles_per_frame']:.0f}"))
    bare = bare_cycles(row)
    if bare:
        at = LEFT + bare * scale
        parts.append(f'<path d="M{at:.1f} {y - 3}V{y + BAR + 3}" stroke="#000" stroke-width="2"/>')
    return parts


def legend(stages):
    parts, x = [], 10
    for stage in stages:
        parts += [f'<rect x="{x}" y="34" width="12" height="12" fill="{STAGES[stage]}"/>',
                  text(x + 16, 44, "start", stage)]
        x += 30 + 7 * len(stage)
    return parts


def figure(rows):
    """The SVG of some rows of `datapath --json`."""
    scale = (RIGHT - LEFT) / max(r["cycles_per_frame"] for r in rows)
    used = [s for s in STAGES if any(r["stages"].get(s) for r in rows)]
    parts = [text(10, 20, "start", "cycles (TSC) of a frame by stage; black: the bare cipher alone")]
    parts += legend(used)
    for i, row in enumerate(rows):
        parts += bar(row, TOP + i * (BAR + GAP), scale)
    height = TOP + len(rows) * (BAR + GAP) + 8
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
         f' width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
         f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *parts, "</svg>"])


def of_run(path):
    """The figure of a run saved with `tools/bench --json datapath`."""
    try:
        with open(path, encoding="utf-8") as f:
            rows = pick(json.load(f)["results"])
        if not rows:
            raise check.CheckError(f"{path}: no rows of {', '.join(SIZES)} bytes and one peer")
        return figure(rows)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise check.CheckError(f"{path}: not a run of tools/bench datapath: {e!r}") from None
