"""One self-contained HTML page: no script, nothing fetched, readable for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from collegium.atomic import atomic_path
from collegium.report.charts import accuracy_charts, curve_charts
from collegium.report.results import ArmRun, Case, CaseAnswer, RunResults
from collegium.report.style import style_sheet
from collegium.report.svg import COLOURS
from collegium.report.table import amount, mode_title, percent, spread, table_modes, table_notes


def write_page(results: RunResults, path: Path) -> Path:
    """Write the page, atomically, and return its path."""
    text = render_page(results)
    with atomic_path(path) as partial:
        partial.write_text(text, "utf-8")
    return path


def render_page(results: RunResults) -> str:
    """Return the page as HTML; every text that comes from data is escaped."""
    colours = {arm: i % COLOURS for i, arm in enumerate(results.arm_names())}
    sections = [
        ("results", "Results", _results(results, colours)),
        ("compared", "What was compared", _compared(results, colours)),
        ("curves", "Training curves", curve_charts(results, colours)),
        ("teachers", "Teachers", _teachers(results)),
        ("cleaning", "Rationales kept and removed", _cleaning(results)),
        ("cases", "Case studies", _cases(results.cases, colours)),
        ("provenance", "Provenance", _facts(flatten(results.provenance))),
    ]
    shown = [(key, title, body) for key, title, body in sections if body]
    nav = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in shown)
    body = "".join(
        f'<section id="{key}"><h2>{title}</h2>{text}</section>\n' for key, title, text in shown
    )
    lead = results.description or f"Task {results.task}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(results.title)}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(results.title)}</h1><p class="lead">{escape(lead)}</p>'
        f'<p class="soft">Recipe {escape(results.recipe)}, task {escape(results.task)}, '
        f"{len(colours)} arm{_s(len(colours))}, {len(results.runs)} run{_s(len(results.runs))}"
        f"</p></header>\n<nav>{nav}</nav>\n<main>\n{body}</main>\n"
        "<footer>Made by collegium. Everything shown lies in this file.</footer>\n"
        "</body>\n</html>\n"
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


LEFT = '<th class="l">'


def left(cell: str) -> str:
    """Return a cell of text, aligned to the left."""
    return f'<td class="l">{cell}</td>'


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already, with or without their own tag."""
    head = "".join(f"{'' if cell.startswith('<th') else '<th>'}{cell}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def chip(arm: str, colours: Mapping[str, int]) -> str:
    """Return an arm's name behind its colour."""
    key = f'<span class="key k{colours[arm]}"></span>'
    return f'<div class="arm">{key}<span>{escape(arm)}</span></div>'


def _results(results: RunResults, colours: Mapping[str, int]) -> str:
    modes = table_modes(results)
    header = [
        "arm",
        *(escape(mode_title(m)).replace("-&gt;", "→") for m in modes),
        "steps",
        "training tokens",
        "training&nbsp;s",
        "answering&nbsp;s",
    ]
    rows = []
    for arm in results.arm_names():
        runs = [run for run in results.runs if run.arm == arm]
        rows.append(
            [
                chip(arm, colours),
                *(_accuracy_cell(runs, mode) for mode in modes),
                _mean_cell([r.steps for r in runs]),
                _mean_cell([r.tokens for r in runs]),
                _mean_cell([r.seconds for r in runs], digits=1),
                _mean_cell(
                    [
                        sum(m.seconds for name, m in r.modes.items() if name != "rationale")
                        for r in runs
                    ],
                    digits=1,
                ),
            ]
        )
    notes = "".join(
        f"<li>{escape(note).replace('-&gt;', '→')}</li>" for note in table_notes(results)
    )
    return (
        html_table(header, rows)
        + f'<ul class="notes">{notes}</ul>'
        + accuracy_charts(results, colours)
        + _comparisons(results)
    )


def _accuracy_cell(runs: Sequence[ArmRun], mode: str) -> str:
    found = [run.modes[mode] for run in runs if mode in run.modes]
    over = spread(m.accuracy for m in found)
    if over is None:
        return '<td class="soft">–</td>'
    if over.n > 1:
        note = f"{percent(over.min)} – {percent(over.max)}"
    elif found[0].low is not None and found[0].high is not None:
        note = f"({percent(found[0].low)} – {percent(found[0].high)})"
    else:
        note = ""
    return f'<td class="big">{percent(over.mean)}<span class="range">{note}</span></td>'


def _mean_cell(values: Sequence[float | None], digits: int | None = None) -> str:
    over = spread(values)
    if over is None:
        return '<td class="soft">–</td>'
    return f"<td>{amount(over.mean) if digits is None else format(over.mean, f'.{digits}f')}</td>"


def _comparisons(results: RunResults) -> str:
    if not results.comparisons:
        return ""
    rows = [
        [
            f"{escape(c.arm)} − {escape(c.against)}",
            left(escape(mode_title(c.mode)).replace("-&gt;", "→")),
            _points(c.difference),
            f"{_points(c.low)} to {_points(c.high)}",
            "< 0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}",
            str(c.n),
        ]
        for c in results.comparisons
    ]
    header = ["difference in accuracy, points", LEFT + "answered by"]
    header += ["mean", "interval", "p", "questions"]
    return (
        "<h3>Paired comparison, question by question</h3>"
        + html_table(header, rows)
        + '<p class="soft">Both arms answered the same questions, which are resampled together '
        "(bootstrap). The interval covers the choice of questions, not that of training seeds: "
        "read the ranges above beside it.</p>"
    )


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one with dotted keys."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            out |= flatten(value, f"{name}.")
        else:
            out[name] = value
    return out


def _facts(values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    rows = []
    for key, value in values.items():
        shown = _shown(value)
        css = ' class="long"' if len(str(key)) + len(shown) > 56 else ""
        rows.append(f"<div{css}><dt>{escape(str(key))}</dt><dd>{escape(shown)}</dd></div>")
    return f'<dl class="facts">{"".join(rows)}</dl>'


def _shown(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _compared(results: RunResults, colours: Mapping[str, int]) -> str:
    rows = []
    for arm in results.arm_names():
        changes = flatten(results.arms.get(arm, {}))
        text = "<br>".join(f"{escape(k)} = {escape(_shown(v))}" for k, v in changes.items())
        runs = [run for run in results.runs if run.arm == arm]
        size = spread(run.parameters for run in runs)
        rows.append(
            [
                chip(arm, colours),
                left(text or "as shared below"),
                ", ".join(str(run.seed) for run in runs),
                amount(None if size is None else size.mean),
            ]
        )
    out = html_table(["arm", LEFT + "differs in", "seeds", "parameters"], rows)
    shared = _facts(flatten(results.settings))
    return out + (f"<h3>Shared by all arms</h3>{shared}" if shared else "")


def _teachers(results: RunResults) -> str:
    if not results.teachers:
        return ""
    modes = list(dict.fromkeys(mode for t in results.teachers for mode in t.modes))
    modes = [mode for mode in modes if mode != "rationale"]
    columns: list[tuple[str, list[str]]] = [
        ("teacher", [escape(t.name) for t in results.teachers]),
        (LEFT + "kind", [left(escape(t.kind)) for t in results.teachers]),
        (LEFT + "licence", [left(escape(t.licence or "not stated")) for t in results.teachers]),
    ]
    if any(t.parameters for t in results.teachers):
        sizes = ["–" if t.parameters is None else amount(t.parameters) for t in results.teachers]
        columns.append(("parameters", sizes))
    for mode in modes:
        found = [
            percent(t.modes[mode].accuracy) if mode in t.modes else "–" for t in results.teachers
        ]
        columns.append((escape(mode_title(mode)).replace("-&gt;", "→"), found))
    if any(t.seconds for t in results.teachers):
        times = ["–" if t.seconds is None else f"{t.seconds:.1f}" for t in results.teachers]
        columns.append(("training&nbsp;s", times))
    if any(t.note for t in results.teachers):
        columns.append(
            (LEFT + "to know when comparing", [left(escape(t.note)) for t in results.teachers])
        )
    rows = list(zip(*(cells for _, cells in columns), strict=True))
    return html_table([head for head, _ in columns], rows)


def _cleaning(results: RunResults) -> str:
    if not results.cleaning:
        return ""
    reasons = sorted({reason for c in results.cleaning for reason in c.removed})
    header = ["teacher", "came", "kept", *(escape(r.replace("_", " ")) for r in reasons)]
    several = any(c.arms for c in results.cleaning)
    if several:
        header.append("arms")
    rows = []
    for count in results.cleaning:
        share = f" ({100 * count.kept / count.came:.1f} %)" if count.came else ""
        row = [escape(count.teacher), str(count.came), f"{count.kept}{share}"]
        row += [str(count.removed.get(reason, 0)) for reason in reasons]
        if several:
            row.append(escape(", ".join(count.arms) or "all"))
        rows.append(row)
    return (
        '<p class="soft">Training rationales by teacher; the columns on the right say why the '
        "others went.</p>" + html_table(header, rows)
    )


def _cases(cases: Sequence[Case], colours: Mapping[str, int]) -> str:
    if not cases:
        return ""
    out = [
        '<p class="soft">Test questions on which the answers disagree most, with the first seed of '
        "each arm; chosen without regard to which is right.</p>"
    ]
    for index, case in enumerate(cases):
        known = [a for a in case.answers if a.correct is not None]
        right = sum(bool(a.correct) for a in known)
        first = " ".join(case.question.split())
        head = first if len(first) <= 110 else first[:109].rstrip() + "…"
        body = "" if head == case.question and not case.choices else escape(case.question)
        choices = "".join(f"\n• {escape(choice)}" for choice in case.choices or ())
        gold = "not known" if case.gold is None else case.gold
        tally = f'<span class="tally">{right} of {len(known)} right</span>' if known else ""
        arms = dict.fromkeys(answer.arm for answer in case.answers)
        cards = "".join(
            _card(arm, [a for a in case.answers if a.arm == arm], colours) for arm in arms
        )
        out.append(
            f"<details{' open' if index == 0 else ''}><summary>{escape(head)}{tally}</summary><div>"
            + (f'<p class="question">{body}{choices}</p>' if body else "")
            + f'<span class="gold">gold: <b>{escape(gold)}</b></span>'
            f'<div class="answers">{cards}</div></div></details>'
        )
    return "".join(out)


def _card(arm: str, answers: Sequence[CaseAnswer], colours: Mapping[str, int]) -> str:
    mark = {True: '<span class="ok">✓</span> ', False: '<span class="no">✗</span> ', None: ""}
    out = [f'<div class="answer k{colours.get(arm, COLOURS - 1)}"><h4>{escape(arm)}</h4>']
    for answer in answers:
        said = "no answer found" if answer.answer is None else answer.answer
        mode = escape(mode_title(answer.mode)).replace("-&gt;", "→")
        out.append(f'<p class="way">{mode}</p>')
        out.append(f'<p class="says">{mark[answer.correct]}{escape(said)}</p>')
        if answer.rationale:
            out.append(f'<p class="why">{escape(answer.rationale)}</p>')
    return "".join([*out, "</div>"])
