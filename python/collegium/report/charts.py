"""The page's figures: accuracies with their spread, and what was logged during training."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from collegium.report.results import RunResults
from collegium.report.svg import DotRow, Line, Marker, dot_plot, line_chart, mean_line
from collegium.report.table import mode_title, table_modes

_NAMES = {
    "loss": "loss",
    "ce_loss": "loss, cross-entropy part",
    "kd_loss": "loss, distillation part",
}
_PARTS = {"ce": "cross-entropy", "kd": "divergence from the teachers"}
_NO_CURVES = ("step", "epoch", "total_flos", "learning_rate", "grad_norm")


def accuracy_charts(results: RunResults, colours: Mapping[str, int]) -> str:
    """Return one dot plot for each way of answering, arms from top to bottom."""
    out = []
    for mode in table_modes(results):
        rows = []
        for arm in results.arm_names():
            found = (
                run.modes[mode].accuracy
                for run in results.runs
                if run.arm == arm and mode in run.modes
            )
            values = [v for v in found if v is not None]
            if values:
                rows.append(DotRow(arm, values, colours[arm]))
        if not rows:
            continue
        title = mode_title(mode).replace("->", "→")
        markers = [Marker(b.name, b.accuracy) for b in results.baselines if b.mode == mode]
        chart = dot_plot(f"accuracy, {title}", rows, markers=markers)
        out.append(f'<figure class="wide"><figcaption>{escape(title)}</figcaption>{chart}</figure>')
    if not out:
        return ""
    if len({run.seed for run in results.runs}) == 1:
        return f"<h3>Accuracy</h3>{''.join(out)}"
    hint = '<p class="soft">One dot a seed; the bar reaches from the lowest to the highest.</p>'
    return f"<h3>Accuracy and its spread over seeds</h3>{hint}{''.join(out)}"


def curve_charts(results: RunResults, colours: Mapping[str, int]) -> str:
    """Return one chart for each logged quantity: the mean over seeds, each seed faintly behind.

    What was measured on the validation split (``eval_...``) is dashed in the same chart.
    """
    logged = dict.fromkeys(key for run in results.runs for row in run.curve for key in row)
    names = dict.fromkeys(key.removeprefix("eval_") for key in logged if is_curve(key))
    if "kd_loss" not in names:
        names.pop("ce_loss", None)  # all of the loss
    figures = []
    for name in sorted(names, key=lambda n: (n != "loss", n.endswith("_loss"), n)):
        lines = [
            line
            for arm in results.arm_names()
            for key, dashed in ((name, False), (f"eval_{name}", True))
            for line in _lines(results, arm, key, colours[arm], dashed)
        ]
        title = curve_title(name)
        figures.append(
            f"<figure><figcaption>{escape(title)}</figcaption>{line_chart(title, lines)}</figure>"
        )
    if not figures:
        return ""
    legend = "".join(
        f'<li><span class="key k{colours[arm]}"></span>{escape(arm)}</li>'
        for arm in results.arm_names()
    )
    hints = ["Solid: training. Dashed: validation."] if any(map(_validates, logged)) else []
    if len(colours) > 1:
        hints.append(
            "The loss sums over an arm's own objectives: its course is comparable between arms, "
            "its height is not."
        )
    return (
        f'<p class="soft">{" ".join(hints)}</p><ul class="legend">{legend}</ul>'
        f'<div class="charts">{"".join(figures)}</div>'
    )


def _lines(results: RunResults, arm: str, key: str, colour: int, dashed: bool) -> list[Line]:
    seeds = {
        index: points
        for index, run in enumerate(results.runs)
        if run.arm == arm and (points := [(r["step"], r[key]) for r in run.curve if key in r])
    }
    if not seeds:
        return []
    label = f"{arm}, validation" if dashed else arm
    lines = [mean_line(label, seeds, colour, dashed)]
    if len(seeds) > 1:
        lines += [Line(label, points, colour, True, dashed) for points in seeds.values()]
    return lines


def curve_title(name: str) -> str:
    """Return what a logged quantity is called: ``ce/label`` as ``cross-entropy, label``."""
    if name in _NAMES:
        return _NAMES[name]
    part, slash, objective = name.partition("/")
    return f"{_PARTS.get(part, part)}, {objective}" if slash else name


def _validates(key: str) -> bool:
    return key.startswith("eval_") and is_curve(key)


def is_curve(key: str) -> bool:
    """Tell whether a log entry's key is worth a chart."""
    timed = key.endswith(("runtime", "per_second", "flos", "epoch"))
    return key not in _NO_CURVES and not timed and not key.startswith("train_")
