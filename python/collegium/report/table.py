"""The table of a comparison: each arm's mean and range over its seeds, beside what it cost."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from collegium.report.results import ArmRun, RunResults

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Spread:
    """A quantity over several seeds."""

    mean: float
    min: float
    max: float
    std: float | None
    """Sample standard deviation; None for one seed."""
    n: int


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return mean, range and standard deviation of the values that are known, None without any."""
    known = [float(v) for v in values if v is not None]
    if not known:
        return None
    std = statistics.stdev(known) if len(known) > 1 else None
    return Spread(statistics.fmean(known), min(known), max(known), std, len(known))


def mode_title(mode: str) -> str:
    """Return a mode's name for people."""
    if mode == "label":
        return "direct label"
    teacher = mode.removeprefix("rationale:")
    return "all teachers -> answer" if mode == "rationale" else f"{teacher} -> answer"


def table_modes(results: RunResults) -> list[str]:
    """Return the modes that have a column: all but the pooled one, which JSON has."""
    return [mode for mode in results.mode_names() if mode != "rationale"]


def table(results: RunResults) -> dict[str, Any]:
    """Return the table as JSON values.

    ``rows``: for each arm ``arm``, ``seeds``, ``modes`` (mode to ``accuracy`` spread, ``n`` and
    ``tokens_per_answer``) and the spreads ``train_tokens``, ``train_seconds``,
    ``answer_seconds`` (all test questions), ``steps`` and ``parameters``.
    """
    rows = []
    for arm in results.arm_names():
        runs = [run for run in results.runs if run.arm == arm]
        rows.append(
            {
                "arm": arm,
                "seeds": [run.seed for run in runs],
                "modes": {
                    mode: _mode(runs, mode)
                    for mode in results.mode_names()
                    if any(mode in run.modes for run in runs)
                },
                "train_tokens": _plain(spread(run.tokens for run in runs)),
                "train_seconds": _plain(spread(run.seconds for run in runs)),
                "answer_seconds": _plain(spread(_answer_seconds(run) for run in runs)),
                "steps": _plain(spread(run.steps for run in runs)),
                "parameters": _plain(spread(run.parameters for run in runs)),
            }
        )
    return {
        "title": results.title,
        "task": results.task,
        "modes": results.mode_names(),
        "rows": rows,
        "teachers": [t.model_dump(exclude_none=True) for t in results.teachers],
        "baselines": [b.model_dump() for b in results.baselines],
        "comparisons": [c.model_dump() for c in results.comparisons],
        "notes": table_notes(results),
    }


def _answer_seconds(run: ArmRun) -> float:
    return sum(found.seconds for mode, found in run.modes.items() if mode != "rationale")


def _mode(runs: Sequence[ArmRun], mode: str) -> dict[str, Any]:
    found = [run.modes[mode] for run in runs if mode in run.modes]
    return {
        "accuracy": _plain(spread(m.accuracy for m in found)),
        "n": max(m.n for m in found),
        "tokens_per_answer": _plain(spread(m.mean_tokens for m in found)),
        "parsed": _plain(spread(m.parsed for m in found)),
        "same_as_label": _plain(spread(m.same_as_label for m in found)),
    }


def _plain(found: Spread | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def table_notes(results: RunResults) -> list[str]:
    """Return the sentences that belong to the table: how to read it, and what to compare with."""
    seeds = {len([r for r in results.runs if r.arm == arm]) for arm in results.arm_names()}
    several = max(seeds) > 1
    asked = []
    for mode in table_modes(results):
        sizes = sorted({r.modes[mode].n for r in results.runs if mode in r.modes})
        asked.append(f"{mode_title(mode)} {'-'.join(map(str, sizes))}")
    count = "-".join(str(n) for n in sorted(seeds))
    notes = [
        ("Mean [min-max] accuracy" if several else "Accuracy")
        + f" in %, {count} seed{'s' if several else ''} an arm; questions: "
        + ", ".join(asked)
        + "."
    ]
    if not several and (widest := _widest_interval(results)):
        notes.append(widest)
    if results.baselines:
        notes.append(
            "Without a model: "
            + ", ".join(
                f"{b.name} {percent(b.accuracy)} ({mode_title(b.mode)})" for b in results.baselines
            )
            + "."
        )
    for teacher in results.teachers:
        measured = [
            f"{mode_title(mode)} {percent(found.accuracy)}"
            for mode, found in teacher.modes.items()
            if found.accuracy is not None and mode != "rationale"
        ]
        facts = [teacher.note] if teacher.note else []
        facts += measured
        if facts:
            notes.append(f"Teacher {teacher.name} ({teacher.kind}): {'; '.join(facts)}.")
    return [*notes, *results.notes]


def _widest_interval(results: RunResults) -> str | None:
    found = [
        m
        for run in results.runs
        for m in run.modes.values()
        if m.low is not None and m.high is not None
    ]
    if not found:
        return None
    half = max((m.high - m.low) / 2 for m in found if m.high is not None and m.low is not None)
    if not half:  # all right, or all wrong: resampling has nothing to show
        return None
    return f"The choice of questions alone moves these by up to {100 * half:.1f} (95 % bootstrap)."


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal, without the sign; a dash for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def range_text(found: Spread | None) -> str:
    """Return ``mean [min-max]`` of shares in percent, the range only for several seeds."""
    if found is None:
        return "-"
    if found.n == 1:
        return percent(found.mean)
    return f"{percent(found.mean)} [{percent(found.min)}-{percent(found.max)}]"


def amount(value: float | None, unit: str = "") -> str:
    """Return a large number in a short form: 1800, 12.3k, 4.56M."""
    if value is None:
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 1e4):
            return f"{value / size:.3g}{letter}{unit}"
    return f"{value:.3g}{unit}" if value != int(value) else f"{int(value)}{unit}"


def cells(results: RunResults) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the printed table."""
    modes = table_modes(results)
    header = [
        "arm",
        *(mode_title(mode) for mode in modes),
        "steps",
        "train tokens",
        "train s",
        "answer s",
    ]
    rows = []
    for arm in results.arm_names():
        runs = [run for run in results.runs if run.arm == arm]
        accuracies = [
            spread(run.modes[mode].accuracy for run in runs if mode in run.modes) for mode in modes
        ]
        costs = [
            spread(run.steps for run in runs),
            spread(run.tokens for run in runs),
            spread(run.seconds for run in runs),
            spread(_answer_seconds(run) for run in runs),
        ]
        rows.append(
            [
                arm,
                *map(range_text, accuracies),
                *(amount(None if c is None else c.mean) for c in costs[:2]),
                *("-" if c is None else f"{c.mean:.1f}" for c in costs[2:]),
            ]
        )
    return header, rows


def as_text(results: RunResults, *, arm_width: int = 30, width: int = 110) -> str:
    """Return the table and its notes as plain text.

    Args:
        results: of one or several runs.
        arm_width: arm names are broken into lines of this width.
        width: notes are broken at this width.
    """
    header, rows = cells(results)
    heads = [textwrap.wrap(title, 14) or [""] for title in header]
    height = max(map(len, heads))
    lines = [
        [head[i - height + len(head)] if i >= height - len(head) else "" for head in heads]
        for i in range(height)
    ]
    rule_at = len(lines)
    for arm, *rest in rows:
        first, *more = textwrap.wrap(arm, arm_width) or [""]
        lines.append([first, *rest])
        lines += [[f"  {part}", *([""] * len(rest))] for part in more]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    out = [
        "  ".join(
            cell.ljust(size) if i == 0 else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    out.insert(rule_at, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    notes = [textwrap.fill(note, width) for note in table_notes(results)]
    return "\n".join([results.title, "", *out, "", *notes])


def as_rich(results: RunResults) -> Table:
    """Return the table for a terminal that rich writes to."""
    from rich.table import Table
    from rich.text import Text

    # Text is shown as it is; in a plain string rich would read [..] as markup.
    header, rows = cells(results)
    caption = Text("\n".join(table_notes(results)))
    out = Table(title=Text(results.title), caption=caption, caption_justify="left")
    for index, title in enumerate(header):
        out.add_column(Text(title), justify="left" if index == 0 else "right")
    for row in rows:
        out.add_row(*map(Text, row))
    return out
