"""The page's figures: accuracies with their spread, and what was logged during training."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from collegium.report.results import RunResults
from collegium.report.svg import DotRow, Line, Marker, dot_plot, line_chart, mean_line
from collegium.report.table import mode_title, table_modes

_NAMES = {"loss": "training loss", "eval_loss": "validation loss"}
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
    hint = '<p class="soft">One dot a seed; the bar reaches from the lowest to the highest.</p>'
    return f"<h3>Accuracy and its spread over seeds</h3>{hint}{''.join(out)}"


def curve_charts(results: RunResults, colours: Mapping[str, int]) -> str:
    """Return one chart for each logged quantity: the mean over seeds, each seed faintly behind."""
    names = dict.fromkeys(
        key for run in results.runs for row in run.curve for key in row if is_curve(key)
    )
    figures = []
    for name in sorted(names, key=lambda n: (n != "loss", n != "eval_loss", n)):
        lines = []
        for arm in results.arm_names():
            seeds = {
                index: points
                for index, run in enumerate(results.runs)
                if run.arm == arm
                and (points := [(r["step"], r[name]) for r in run.curve if name in r])
            }
            if not seeds:
                continue
            if len(seeds) > 1:
                lines += [Line(arm, points, colours[arm], True) for points in seeds.values()]
            lines.append(mean_line(arm, seeds, colours[arm]))
        title = _NAMES.get(name, name)
        figures.append(
            f"<figure><figcaption>{escape(title)}</figcaption>{line_chart(title, lines)}</figure>"
        )
    if not figures:
        return ""
    legend = "".join(
        f'<li><span class="key k{colours[arm]}"></span>{escape(arm)}</li>'
        for arm in results.arm_names()
    )
    return (
        '<p class="soft">A loss sums over an arm\'s own objectives: its course is comparable '
        "between arms, its height is not.</p>"
        f'<ul class="legend">{legend}</ul><div class="charts">{"".join(figures)}</div>'
    )


def is_curve(key: str) -> bool:
    """Tell whether a log entry's key is worth a chart."""
    timed = key.endswith(("runtime", "per_second", "flos", "epoch"))
    return key not in _NO_CURVES and not timed and not key.startswith("train_")
