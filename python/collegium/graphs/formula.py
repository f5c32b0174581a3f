"""A thought graph from a formula: two ways to work it out, checks, and typed mistakes.

The formula is a text such as ``( ( 18 - 10 ) * 15 )``. One way takes the operations as they come;
the other says each one the other way round (``a - b = c`` as ``b + c = a``). Mistakes change one
operation: the wrong operator, operands swapped, a number ignored, a number of the question that
does not belong there, a unit slip (a factor of ten).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from collegium.errors import DataError
from collegium.graphs.answers import numbers
from collegium.graphs.build import ROOT, GraphBuilder
from collegium.graphs.graph import Alternative, Answer, Source, ThoughtGraph

_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_OPPOSITE = {"+": "-", "-": "+", "*": "/", "/": "*"}
_NAMES = {"+": "adding", "-": "taking away", "*": "multiplying", "/": "dividing"}
_MOST_OPERATIONS = 40


class FormulaMistake(StrEnum):
    """Which way an operation goes wrong."""

    WRONG_OPERATOR = "wrong_operator"
    SWAPPED_OPERANDS = "swapped_operands"
    IGNORED_NUMBER = "ignored_number"
    EXTRA_NUMBER = "extra_number"
    UNIT_SLIP = "unit_slip"


@dataclass(frozen=True)
class Operation:
    """``left sign right = result``."""

    sign: str
    left: Fraction
    right: Fraction
    result: Fraction

    def __str__(self) -> str:
        """Return the operation as text."""
        return f"{show(self.left)} {self.sign} {show(self.right)} = {show(self.result)}"


def operations(formula: str) -> list[Operation]:
    """Return the operations of a formula in the order in which they are worked out.

    Raises:
        DataError: not arithmetic of numbers, ``+ - * /`` and parentheses, divided by zero, or
            longer than 40 operations.
    """
    found: list[Operation] = []
    try:
        tree = ast.parse(" ".join(formula.split())[:2000], mode="eval").body
        _work_out(tree, found)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise DataError(f"formula {formula[:60]!r} cannot be worked out: {error}") from None
    if len(found) > _MOST_OPERATIONS:
        raise DataError(f"formula {formula[:60]!r}: more than {_MOST_OPERATIONS} operations")
    return found


def _work_out(node: ast.expr, found: list[Operation]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_work_out(node.operand, found)
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        left, right = _work_out(node.left, found), _work_out(node.right, found)
        sign = _SIGNS[type(node.op)]
        result = apply(sign, left, right)
        found.append(Operation(sign, left, right, result))
        return result
    raise ValueError("expected numbers, + - * / and parentheses only")


def apply(sign: str, left: Fraction, right: Fraction) -> Fraction:
    """Return ``left sign right``."""
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    return left * right if sign == "*" else left / right


def show(value: Fraction) -> str:
    """Return a number as people write it: whole, decimal with up to six places, or a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    rounded = round(float(value), 6)
    return f"{rounded:g}" if Fraction(str(rounded)) == value else f"{float(value):.4g}"


def mistakes(
    found: Sequence[Operation], extra: Sequence[Fraction] = ()
) -> Iterator[tuple[FormulaMistake, int, Operation, str]]:
    """Yield kind, number of the operation, the wrong operation and why it is wrong.

    Left out are mistakes that come to the right value.
    """
    for i, op in enumerate(found):
        for kind, wrong, reason in _wrong(op, extra if i == len(found) - 1 else ()):
            if wrong.result != op.result:
                yield kind, i, wrong, reason


def _wrong(
    op: Operation, extra: Sequence[Fraction]
) -> Iterator[tuple[FormulaMistake, Operation, str]]:
    a, b = show(op.left), show(op.right)
    other = _OPPOSITE[op.sign]
    if other != "/" or op.right:
        wrong = Operation(other, op.left, op.right, apply(other, op.left, op.right))
        reason = f"This is a case for {_NAMES[op.sign]}, not for {_NAMES[other]}."
        yield FormulaMistake.WRONG_OPERATOR, wrong, reason
    if op.sign in "-/" and (op.sign == "-" or op.left):
        wrong = Operation(op.sign, op.right, op.left, apply(op.sign, op.right, op.left))
        reason = f"The order matters: {a} {op.sign} {b} is not {b} {op.sign} {a}."
        yield FormulaMistake.SWAPPED_OPERANDS, wrong, reason
    neutral = Fraction(op.sign in "*/")
    wrong = Operation(op.sign, op.left, neutral, op.left)
    yield FormulaMistake.IGNORED_NUMBER, wrong, f"The number {b} is left out."
    for number in extra:
        wrong = Operation("+", op.result, number, op.result + number)
        reason = f"The number {show(number)} does not belong to what is asked."
        yield FormulaMistake.EXTRA_NUMBER, wrong, reason
    ten = op.right * 10
    if ten:
        wrong = Operation(op.sign, op.left, ten, apply(op.sign, op.left, ten))
        reason = f"{b} is taken for {show(ten)}, a slip of the unit."
        yield FormulaMistake.UNIT_SLIP, wrong, reason


def formula_graph(
    problem: str,
    formula: str,
    *,
    graph_id: str,
    conclusion: str,
    answer: Answer | None = None,
    kinds: Sequence[FormulaMistake] = tuple(FormulaMistake),
    source: Source | None = None,
    license: str | None = None,
) -> ThoughtGraph:
    """Build the graph of a problem whose formula is known.

    Args:
        problem: the question's text.
        formula: what it comes to.
        graph_id: the graph's id.
        conclusion: the text of its answer nodes.
        answer: what the graph states as its answer; default: the formula's value.
        kinds: the mistakes that are shown, one of each kind at its first possible place.
        source: whom the graph is ascribed to.
        license: terms under which it may be used.

    Raises:
        DataError: the formula cannot be worked out or has no operation.
    """
    found = operations(formula)
    if not found:
        raise DataError(f"formula {formula[:60]!r}: no operation in it")
    build = GraphBuilder(problem)
    plan = build.add(
        "strategy",
        f"Work out {formula.strip()} from the inside out.",
        ROOT,
        why="each part is known once the parts inside it are",
        alternatives=(Alternative(option="ask what is missing", reason_rejected="more to keep"),),
    )
    at, places = plan, []
    for i, op in enumerate(found):
        places.append(at)
        at = build.add(
            "step",
            f"{op}.",
            at,
            why=f"this part asks for {_NAMES[op.sign]}",
            contributes="the answer" if i == len(found) - 1 else "a part of the answer",
        )
        if i == 0:
            left = len(found) - 1
            text = f"{show(op.result)} so far, {left} more to work out."
            at = build.add("monitor", text if left else "Nothing is left to work out.", at)
    at = build.add("evaluation", f"Backwards: {_other_way(found[-1])}. It fits.", at)
    end = build.add("answer", conclusion, at, correct=True)
    build.annotate(at, end, "evaluates")
    _second_way(build, found, conclusion)
    used = {number for op in found for number in (op.left, op.right)}
    extra = [n for n in map(Fraction, numbers(problem)) if n not in used]
    seen: set[FormulaMistake] = set()
    for kind, i, wrong, reason in mistakes(found, extra):
        if kind in kinds and kind not in seen:
            seen.add(kind)
            build.mistake(f"{wrong}.", reason, f"{found[i]}.", places[i])
    if answer is None:
        value = show(found[-1].result)
        answer = Answer(value=value, checker="numeric", verified=True)
    return build.graph(graph_id, answer, source=source, license=license)


def _second_way(build: GraphBuilder, found: Sequence[Operation], conclusion: str) -> None:
    at = build.add(
        "strategy",
        "Say each part the other way round and ask what fits.",
        ROOT,
        why="what is missing can be tested at once",
        alternatives=(Alternative(option="work from the inside out"),),
    )
    for op in found:
        at = build.add(
            "step",
            f"{_other_way(op)}, so this part is {show(op.result)}.",
            at,
            why=f"the other way round of {_NAMES[op.sign]}",
            contributes="a part of the answer",
        )
    build.add("answer", conclusion, at, correct=True)


def _other_way(op: Operation) -> str:
    a, b, c = show(op.left), show(op.right), show(op.result)
    if op.sign == "-":
        return f"{c} + {b} = {a}"
    if op.sign == "/":
        return f"{c} * {b} = {a}"
    return f"{b} {op.sign} {a} = {c}"
