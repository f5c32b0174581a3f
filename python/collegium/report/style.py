"""The page's style sheet, and the colours of the arms in it."""

from __future__ import annotations

from importlib import resources

from collegium.report.svg import COLOURS


def style_sheet() -> str:
    """Return the whole of the page's CSS."""
    sheet = (resources.files("collegium.report") / "style.css").read_text("utf-8")
    rules = [
        f"svg .dot.k{i}{{fill:var(--c{i})}}svg line.k{i},svg polyline.k{i}{{stroke:var(--c{i})}}"
        f".key.k{i}{{background:var(--c{i})}}.answer.k{i}{{border-left-color:var(--c{i})}}"
        for i in range(COLOURS)
    ]
    return "\n".join([sheet, *rules])
