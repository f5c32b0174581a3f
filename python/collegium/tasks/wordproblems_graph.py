"""The thought graph of a word problem: each style of the solver a path, mistakes beside the steps.

Texts keep to the task's form (words and signs parted by single spaces), so a word-level tokenizer
knows them once it has seen `GRAPH_WORDS`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from collegium.graphs.build import ROOT, GraphBuilder
from collegium.graphs.graph import Alternative, Answer, Source, ThoughtGraph
from collegium.tasks.wordproblems_solve import MistakeKind, solve, wrong_solutions
from collegium.tasks.wordproblems_story import Story

_PLANS = {
    "equations": ("plan : one by one ,", "each change has its place"),
    "narration": ("plan : tell it ,", "the story tells the changes in order"),
    "net_change": ("plan : all changes first ,", "gains and losses may be summed"),
}
GRAPH_WORDS = (
    "plan : one by one tell it all changes first check now to go back fits no not left out slip "
    "the order + - * / = , ;"
)
"""Every word of the texts that the solver's own words lack."""


def story_graph(
    question: str,
    story: Story,
    *,
    graph_id: str,
    max_value: int,
    styles: Sequence[str] = ("equations", "narration", "net_change"),
    kinds: Sequence[MistakeKind] = tuple(MistakeKind),
    most_mistakes: int = 4,
    source: Source | None = None,
) -> ThoughtGraph:
    """Build the graph of a story.

    Args:
        question: the story's text.
        story: what it tells.
        graph_id: the graph's id; with the question it decides which mistakes are shown.
        max_value: the largest value of the task's level.
        styles: the paths; one whose text repeats an earlier one's is left out.
        kinds: mistakes beside the steps of the path of equations.
        most_mistakes: how many of them at most, of different kinds first.
        source: whom the graph is ascribed to.
    """
    build = GraphBuilder(question)
    conclusion = f"answer {story.answer}"
    places: list[str] = []
    for k, style in enumerate(styles):
        others = tuple(Alternative(option=_PLANS[o][0]) for o in styles if o != style)
        plan, why = _PLANS[style]
        at = build.add("strategy", plan, ROOT, why=why, alternatives=others)
        texts = _pieces(solve(story, style, max_value=max_value).text)
        for i, text in enumerate(texts):
            if style == "equations":
                places.append(at)
            last = i == len(texts) - 1
            contributes = "the number asked for" if last else "the number after this change"
            at = build.add("step", text, at, why=why, contributes=contributes)
            if style == "equations" and i == 0:
                check = f"check : {text.split()[-2]} now , {len(texts) - 1} to go ,"
                at = build.add("monitor", check, at)
        if k == 0:
            at = build.add("evaluation", _backwards(story), at)
        end = build.add("answer", conclusion, at, correct=True)
        if k == 0:
            build.annotate(at, end, "evaluates")
    if places:
        _add_mistakes(build, story, places, kinds, most_mistakes, max_value)
    answer = Answer(value=str(story.answer), checker="numeric", verified=True)
    return build.graph(graph_id, answer, source=source)


def _pieces(text: str) -> list[str]:
    return [piece.strip() for piece in re.findall(r"[^,;]+[,;]", text)]


def _backwards(story: Story) -> str:
    value, parts = story.answer, []
    for step in reversed(story.steps):
        sign = {"add": "-", "subtract": "+", "double": "/", "halve": "*"}[step.operation]
        before = {"-": value - step.operand, "+": value + step.operand, "/": value // 2}.get(
            sign, value * 2
        )
        parts.append(f"{value} {sign} {step.operand} = {before} ;")
        value = before
    return f"check back : {' '.join(parts)}"


def _add_mistakes(
    build: GraphBuilder,
    story: Story,
    places: Sequence[str],
    kinds: Sequence[MistakeKind],
    most: int,
    max_value: int,
) -> None:
    wrong = wrong_solutions(story, "equations", max_value=max_value, kinds=kinds)
    right = _pieces(solve(story, "equations", max_value=max_value).text)
    rng = random.Random(f"graph/{build.nodes[0].text}")
    done: set[tuple[int, str]] = set()
    for kind in [k for k in MistakeKind if k in wrong][:most]:
        mistake, solution = rng.choice(wrong[kind])
        at, lines = mistake.step, _pieces(solution.text)
        shown = lines[at] if at < len(lines) else f"answer {solution.answer}"
        if shown != right[at] and (at, shown) not in done:
            done.add((at, shown))
            build.mistake(shown, _reason(kind, right[at], shown), right[at], places[at])


def _reason(kind: MistakeKind, right: str, wrong: str) -> str:
    left, sign, operand, *_ = right.split()
    match kind:
        case MistakeKind.WRONG_OPERATOR:
            return f"no : {sign} not {wrong.split()[1]} ,"
        case MistakeKind.SWAPPED_OPERANDS:
            return f"no : the order , {left} {sign} {operand} ,"
        case MistakeKind.SKIPPED_STEP:
            return f"no : {sign} {operand} left out ,"
        case MistakeKind.SLIP:
            return f"no : slip , not {wrong.split()[-2]} ,"
