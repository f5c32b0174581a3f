"""Charts as inline SVG: no script, colours from the page's CSS variables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = 8
"""Number of colours (``--c0`` ...) that the page defines; more series begin again."""


@dataclass(frozen=True)
class DotRow:
    """One row of a dot plot: a value for each seed."""

    label: str
    values: Sequence[float]
    colour: int = 0


@dataclass(frozen=True)
class Line:
    """One line of a chart; points with x ascending."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    faint: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Marker:
    """A vertical reference line of a dot plot."""

    label: str
    value: float


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers between `low` and `high`."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / max(1, count)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: float) -> str:
    """Return a number for an axis: 1200 as 1.2k, no needless digits."""
    if abs(value) >= 1000:
        return f"{value / 1000:.4g}k"
    return f"{value:.4g}"


@dataclass
class _Drawing:
    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        self.parts.append(
            f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def text(self, x: float, y: float, text: str, css: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def svg(self) -> str:
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}"><title>{escape(self.title)}</title>'
            + "".join(self.parts)
            + "</svg>"
        )


def _colour(index: int) -> str:
    return f"k{index % COLOURS}"


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def dot_plot(
    title: str,
    rows: Sequence[DotRow],
    *,
    markers: Sequence[Marker] = (),
    width: int = 760,
) -> str:
    """Draw accuracies (0 .. 1) on a percent axis: a dot a seed, a bar from least to most, the mean.

    Args:
        title: read aloud by screen readers; the page prints its own heading.
        rows: top to bottom.
        markers: reference values, dashed.
        width: in the drawing's own units; it scales with the page.
    """
    left, right, top, step = 220, 60, 30, 34
    height = top + step * len(rows) + 34
    drawing = _Drawing(width, height, title)
    highest = max([v for row in rows for v in row.values] + [m.value for m in markers] + [0.0])
    end = min(1.0, max(0.1, math.ceil(highest * 10 + 0.2) / 10))

    def x(value: float) -> float:
        return left + (width - left - right) * value / end

    bottom = height - 30
    for tick in ticks(0, end, 5):
        drawing.line(x(tick), top - 8, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 18, f"{100 * tick:g} %", "tick", "middle")
    for marker in markers:
        drawing.line(x(marker.value), top - 8, x(marker.value), bottom, "ref")
        near_end = x(marker.value) > width - 160
        drawing.text(
            x(marker.value) + (-5 if near_end else 5),
            top - 12,
            _shorten(marker.label, 60),
            "tick",
            "end" if near_end else "start",
        )
    for index, row in enumerate(rows):
        y = top + step * (index + 0.5)
        label = f"<title>{escape(row.label)}</title>" if len(row.label) > 30 else ""
        drawing.parts.append(
            f'<text class="name" x="{left - 14}" y="{y + 4:.1f}" text-anchor="end">'
            f"{label}{escape(_shorten(row.label, 30))}</text>"
        )
        if not row.values:
            drawing.text(left + 6, y + 4, "not measured", "tick")
            continue
        low, high, mean = min(row.values), max(row.values), sum(row.values) / len(row.values)
        css = _colour(row.colour)
        drawing.line(x(low), y, x(high), y, f"span {css}")
        for value in row.values:
            drawing.parts.append(
                f'<circle class="dot {css}" cx="{x(value):.1f}" cy="{y:.1f}" r="4.5">'
                f"<title>{escape(row.label)}: {100 * value:.1f} %</title></circle>"
            )
        if len(row.values) > 1:
            drawing.line(x(mean), y - 9, x(mean), y + 9, f"mean {css}")
        drawing.text(x(high) + 10, y + 4, f"{100 * mean:.1f}", "value")
    return drawing.svg()


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str = "step",
    y_label: str = "",
    width: int = 520,
    height: int = 260,
) -> str:
    """Draw lines over a common x axis; points that are not finite are left out.

    The y axis ends at the 99th percentile from the second point on, where the first values are
    far above the rest, so that the beginning of a training does not flatten all that follows.
    """
    left, right, top, foot = 52, 12, 14, 40
    drawn = [
        Line(
            line.label,
            [p for p in line.points if math.isfinite(p[0]) and math.isfinite(p[1])],
            line.colour,
            line.faint,
            line.dashed,
        )
        for line in lines
    ]
    drawn = [line for line in drawn if line.points]
    drawing = _Drawing(width, height, title)
    if not drawn:
        drawing.text(width / 2, height / 2, "nothing recorded", "tick", "middle")
        return drawing.svg()
    xs = [p[0] for line in drawn for p in line.points]
    ys = sorted(p[1] for line in drawn for p in line.points)
    later = sorted(p[1] for line in drawn for p in line.points[1:]) or ys
    ceiling = later[min(len(later) - 1, math.floor(0.99 * len(later)))]
    y_high = ys[-1] if ys[-1] < 1.6 * ceiling or ceiling <= 0 else ceiling * 1.1
    y_low = 0.0 if ys[0] >= 0 else ys[0]
    if y_high <= y_low:
        y_high = y_low + 1.0
    x_low, x_high = min(xs), max(xs)
    if x_high <= x_low:
        x_high = x_low + 1.0

    def x(value: float) -> float:
        return left + (width - left - right) * (value - x_low) / (x_high - x_low)

    def y(value: float) -> float:
        share = (min(value, y_high) - y_low) / (y_high - y_low)
        return height - foot - (height - foot - top) * share

    for tick in ticks(y_low, y_high, 4):
        drawing.line(left, y(tick), width - right, y(tick), "grid")
        drawing.text(left - 8, y(tick) + 4, number(tick), "tick", "end")
    for tick in ticks(x_low, x_high, 5):
        drawing.text(x(tick), height - foot + 18, number(tick), "tick", "middle")
    drawing.text((left + width - right) / 2, height - 6, x_label, "tick", "middle")
    if y_label:
        drawing.text(left, top - 3, y_label, "tick")
    for line in sorted(drawn, key=lambda line: not line.faint):
        css = f"curve {_colour(line.colour)}" + (" faint" if line.faint else "")
        css += " dashed" if line.dashed else ""
        label = f"<title>{escape(line.label)}</title>"
        if len(line.points) == 1:
            px, py = line.points[0]
            drawing.parts.append(
                f'<circle class="dot {_colour(line.colour)}" cx="{x(px):.1f}" cy="{y(py):.1f}" '
                f'r="4">{label}</circle>'
            )
            continue
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in line.points)
        drawing.parts.append(f'<polyline class="{css}" points="{path}">{label}</polyline>')
    return drawing.svg()


def mean_line(
    label: str,
    seeds: Mapping[int, Sequence[tuple[float, float]]],
    colour: int,
    dashed: bool = False,
) -> Line:
    """Return the mean over seeds, at the x values that all of them have."""
    common = set.intersection(*(set(x for x, _ in points) for points in seeds.values()))
    values: dict[float, list[float]] = {}
    for points in seeds.values():
        for x, y in dict(points).items():
            if x in common:
                values.setdefault(x, []).append(y)
    return Line(
        label, [(x, sum(v) / len(v)) for x, v in sorted(values.items())], colour, dashed=dashed
    )
