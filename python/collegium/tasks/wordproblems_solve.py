"""Derivations of word problems: several paths to the answer, and the mistakes pupils make.

Every style is a pure function of a story. A mistake changes one step and is carried on; values
stay within ``0 .. max_value``, so that a wrong derivation uses no number that a right one cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from collegium.tasks.wordproblems_story import Operation, Step, Story

_OPPOSITE: dict[Operation, Operation] = {
    "add": "subtract",
    "subtract": "add",
    "double": "halve",
    "halve": "double",
}
_SIGN = {"add": "+", "subtract": "-", "double": "*", "halve": "/"}


class MistakeKind(StrEnum):
    """Which way a step went wrong."""

    WRONG_OPERATOR = "wrong_operator"
    SLIP = "slip"
    SKIPPED_STEP = "skipped_step"
    SWAPPED_OPERANDS = "swapped_operands"


@dataclass(frozen=True)
class Mistake:
    """A mistake in one step; `slip` is by how much a result is off."""

    kind: MistakeKind
    step: int
    slip: int = 0


@dataclass(frozen=True)
class Solution:
    """A derivation without its conclusion, and the answer it comes to."""

    text: str
    answer: int


@dataclass(frozen=True)
class _Line:
    operation: Operation
    left: int
    right: int
    result: int
    swapped: bool = False


def _follow(story: Story, mistake: Mistake | None, max_value: int) -> tuple[list[_Line], int]:
    value, lines = story.start, []
    for index, step in enumerate(story.steps):
        kind = mistake.kind if mistake is not None and mistake.step == index else None
        if kind is MistakeKind.SKIPPED_STEP:
            continue
        if kind is MistakeKind.WRONG_OPERATOR:
            step = replace(step, operation=_OPPOSITE[step.operation])
        swapped = kind is MistakeKind.SWAPPED_OPERANDS
        result = step.operand - value if swapped else step.apply(value)
        if kind is MistakeKind.SLIP and mistake is not None:
            result += mistake.slip
        result = max(0, min(max_value, result))
        left, right = (step.operand, value) if swapped else (value, step.operand)
        lines.append(_Line(step.operation, left, right, result, swapped))
        value = result
    return lines, value


def _equations(story: Story, mistake: Mistake | None, max_value: int) -> Solution:
    lines, value = _follow(story, mistake, max_value)
    text = " ".join(f"{x.left} {_SIGN[x.operation]} {x.right} = {x.result} ;" for x in lines)
    return Solution(text, value)


def _narration(story: Story, mistake: Mistake | None, max_value: int) -> Solution:
    lines, value = _follow(story, mistake, max_value)
    parts = [f"start with {story.start} ,"]
    for line in lines:
        if line.swapped:
            change = f"take {line.right} from {line.left}"
        elif line.operation == "add":
            change = f"add {line.right}"
        elif line.operation == "subtract":
            change = f"take {line.right}"
        else:
            change = line.operation
        parts.append(f"{change} to get {line.result} ,")
    return Solution(" ".join(parts), value)


def _net_change(story: Story, mistake: Mistake | None, max_value: int) -> Solution:
    value, parts = story.start, []
    steps, slips = _performed(story, mistake)
    for run in _runs(steps):
        slip = sum(slips[index] for index, _ in run)
        first = run[0][1]
        if first.operation in ("double", "halve"):
            result = max(0, min(max_value, first.apply(value) + slip))
            parts.append(f"{value} {_SIGN[first.operation]} 2 = {result} ;")
        else:
            gained, lost = (
                [step.operand for _, step in run if step.operation == operation]
                for operation in ("add", "subtract")
            )
            parts += [_sum("gains", gained)] if gained else []
            parts += [_sum("losses", lost)] if lost else []
            more = sum(gained) - sum(lost)
            if gained and lost and more:
                large, small = max(sum(gained), sum(lost)), min(sum(gained), sum(lost))
                parts.append(f"{large} - {small} = {abs(more)} {'more' if more > 0 else 'fewer'} ,")
            result = max(0, min(max_value, value + more + slip))
            if more or slip:
                parts.append(f"{value} {'+' if more >= 0 else '-'} {abs(more)} = {result} ;")
            else:
                parts.append(f"no change from {value} ;")
        value = result
    return Solution(" ".join(parts), value)


def _performed(story: Story, mistake: Mistake | None) -> tuple[list[Step], list[int]]:
    steps, slips = [], []
    for index, step in enumerate(story.steps):
        kind = mistake.kind if mistake is not None and mistake.step == index else None
        if kind is MistakeKind.SKIPPED_STEP:
            continue
        if kind is MistakeKind.WRONG_OPERATOR:
            step = replace(step, operation=_OPPOSITE[step.operation])
        steps.append(step)
        slips.append(mistake.slip if mistake is not None and kind is MistakeKind.SLIP else 0)
    return steps, slips


def _runs(steps: Sequence[Step]) -> Iterator[list[tuple[int, Step]]]:
    run: list[tuple[int, Step]] = []
    for index, step in enumerate(steps):
        if step.operation in ("double", "halve"):
            if run:
                yield run
            yield [(index, step)]
            run = []
        else:
            run.append((index, step))
    if run:
        yield run


def _sum(word: str, numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"{word} {numbers[0]} ,"
    return f"{word} {' + '.join(map(str, numbers))} = {sum(numbers)} ,"


STYLES: dict[str, Callable[[Story, Mistake | None, int], Solution]] = {
    "equations": _equations,
    "narration": _narration,
    "net_change": _net_change,
}
"""Paths to the answer: step by step as equations or in words, or all gains and losses first."""


def solve(
    story: Story, style: str = "equations", mistake: Mistake | None = None, *, max_value: int
) -> Solution:
    """Derive a story's answer in one style, with at most one mistake."""
    return STYLES[style](story, mistake, max_value)


def wrong_solutions(
    story: Story, style: str, *, max_value: int, kinds: Sequence[MistakeKind] = tuple(MistakeKind)
) -> dict[MistakeKind, list[tuple[Mistake, Solution]]]:
    """Return every single mistake of `kinds` that ends in a wrong answer, with its derivation.

    Left out are mistakes that happen not to matter and those that make no sense: operands swapped
    in a sum, a halving of an odd number, the only step skipped.
    """
    found: dict[MistakeKind, list[tuple[Mistake, Solution]]] = {}
    for mistake in _mistakes(story, style, kinds, max_value):
        solution = solve(story, style, mistake, max_value=max_value)
        if solution.answer != story.answer:
            found.setdefault(mistake.kind, []).append((mistake, solution))
    return found


def _mistakes(
    story: Story, style: str, kinds: Sequence[MistakeKind], max_value: int
) -> Iterator[Mistake]:
    value = story.start
    for index, step in enumerate(story.steps):
        result = step.apply(value)
        if MistakeKind.SLIP in kinds:
            for slip in (-2, -1, 1, 2):
                if 0 <= result + slip <= max_value:
                    yield Mistake(MistakeKind.SLIP, index, slip)
        if MistakeKind.WRONG_OPERATOR in kinds:
            other = replace(step, operation=_OPPOSITE[step.operation])
            whole = other.operation != "halve" or value % 2 == 0
            if whole and 0 <= other.apply(value) <= max_value:
                yield Mistake(MistakeKind.WRONG_OPERATOR, index)
        if MistakeKind.SKIPPED_STEP in kinds and len(story.steps) > 1:
            yield Mistake(MistakeKind.SKIPPED_STEP, index)
        if (
            MistakeKind.SWAPPED_OPERANDS in kinds
            and step.operation == "subtract"
            and style != "net_change"
        ):
            yield Mistake(MistakeKind.SWAPPED_OPERANDS, index)
        value = result
