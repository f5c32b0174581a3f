"""A thought graph from several chains of thought about one problem, right and wrong ones.

Each chain is cut into steps. Chains that say the same share nodes: by default as long as they
agree from the start (a trie); with ``merge="state"`` also where they come together again having
said the same things in another order. Branches are judged by where they end. The step at which a
wrong chain leaves a right one becomes a misconception, with what shows it to be wrong and the right
step as its correction.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from collegium.errors import DataError
from collegium.graphs.build import ROOT, GraphBuilder
from collegium.graphs.formula import operations, show
from collegium.graphs.graph import Answer, Source, ThoughtGraph
from collegium.graphs.steps import steps

Merge = Literal["prefix", "state"]

_EQUATION = re.compile(
    r"(?<![\w.])(-?\$?[\d.,]*\d(?:\s*[-+*/x×÷]\s*\$?[\d.,]*\d)+)\s*=\s*\$?(-?[\d.,]*\d)"
)
_MARK = re.compile(r"<<[^<>]*>>")
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?|[-+*/=]")


@dataclass(frozen=True)
class Chain:
    """One chain of thought. `correct` tells whether it ends in the right answer, None: unknown."""

    text: str
    answer: str | None
    correct: bool | None


@dataclass(frozen=True)
class ChainsGraph:
    """A graph, or None where no chain is right; what became of the chains."""

    graph: ThoughtGraph | None
    counts: Counter[str] = field(default_factory=Counter)
    """``right``, ``wrong``, ``undecided``, ``without an answer`` chains; ``steps`` read and
    ``merged``; ``misconceptions``; wrong chains that ``never leave`` a right one or repeat a
    misconception."""


def step_key(step: str) -> str:
    """Return what two steps share that say the same.

    Its equations where it has some (however they are worded, spaced and grouped), else its words.
    """
    plain = _MARK.sub("", step)
    found = [f"{_bare(left)}={_bare(right)}" for left, right in _EQUATION.findall(plain)]
    return " ".join(found) if found else " ".join(_WORD.findall(plain.lower()))


def chains_graph(
    problem: str,
    chains: Sequence[Chain],
    *,
    graph_id: str,
    conclusion: str | None = None,
    answer: Answer | None = None,
    merge: Merge = "prefix",
    most_misconceptions: int = 8,
    source: Source | None = None,
    license: str | None = None,
) -> ChainsGraph:
    """Build a graph from chains.

    Args:
        problem: the question's text.
        chains: the chains; those without an answer are left out.
        graph_id: the graph's id.
        conclusion: the text of right answer nodes; default: the chain's own answer.
        answer: what the graph states as its answer.
        merge: which chains share nodes.
        most_misconceptions: how many wrong branches are kept, in the order of the chains.
        source: whom the graph is ascribed to.
        license: terms under which the chains may be used.
    """
    weave = _Weave(problem, merge)
    ended = [c for c in chains if c.answer is not None]
    counts = weave.counts
    counts["without an answer"] += len(chains) - len(ended)
    kept = [c for c in ended if c.correct] or [c for c in ended if c.correct is None]
    for chain in ended:
        counts["right" if chain.correct else "undecided" if chain.correct is None else "wrong"] += 1
    for chain in kept:
        weave.follow(chain, conclusion)
    if not weave.answers:
        return ChainsGraph(None, +counts)
    for chain in ended:
        if chain.correct is False and counts["misconceptions"] < most_misconceptions:
            weave.depart(chain, answer.value if answer else conclusion)
    graph = weave.build.graph(graph_id, answer, source=source, license=license)
    return ChainsGraph(graph, +counts)


class _Weave:
    def __init__(self, problem: str, merge: Merge) -> None:
        self.build = GraphBuilder(problem)
        self.merge: Merge = merge
        self.counts: Counter[str] = Counter()
        self.ends: dict[Hashable, list[str]] = {self._start(): [ROOT]}
        """State to the nodes that lead to it."""
        self.step: dict[tuple[Hashable, str], str] = {}
        """State and key of the next step to the node of that step."""
        self.texts: dict[str, str] = {}
        self.answers: dict[Hashable, str] = {}
        self._wrong: set[tuple[Hashable, str]] = set()

    def _start(self) -> Hashable:
        return frozenset() if self.merge == "state" else ()

    def _after(self, state: Hashable, key: str) -> Hashable:
        if isinstance(state, frozenset):
            return state | {key}
        return (*state, key) if isinstance(state, tuple) else (key,)

    def follow(self, chain: Chain, conclusion: str | None) -> None:
        """Add a chain that is not known to be wrong."""
        state = self._start()
        for text in steps(chain.text):
            key = step_key(text)
            if isinstance(state, frozenset) and key in state:
                continue
            self.counts["steps"] += 1
            after = self._after(state, key)
            if (state, key) in self.step:
                self.counts["merged"] += 1
            else:
                self._add_step(state, key, after, text)
            state = after
        if state in self.answers:
            return
        parents = self.ends[state]
        text = conclusion if conclusion is not None and chain.correct else str(chain.answer)
        name = self.build.add("answer", text, parents[0], correct=chain.correct or None)
        for other in parents[1:]:
            self.build.annotate(other, name, "next")
        self.answers[state] = name

    def _add_step(self, state: Hashable, key: str, after: Hashable, text: str) -> None:
        parents = self.ends[state]
        name = self.build.add("step", text, parents[0])
        for other in parents[1:]:
            self.build.annotate(other, name, "next")
        self.step[state, key] = name
        self.texts[name] = text
        known = self.ends.setdefault(after, [])
        for key_before, node in list(self.step.items()):
            if key_before[0] == after and node != name:
                self.build.annotate(name, node, "next")
        if after in self.answers:
            self.build.annotate(name, self.answers[after], "next")
        known.append(name)

    def depart(self, chain: Chain, right: str | None) -> None:
        """Add the step at which a wrong chain leaves the right ones."""
        state = self._start()
        for text in steps(chain.text):
            key = step_key(text)
            if (state, key) in self.step:
                state = self._after(state, key)
                continue
            if isinstance(state, frozenset) and key in state:
                continue
            onward = [node for (before, _), node in self.step.items() if before == state]
            if not onward or (state, key) in self._wrong:
                break
            self._wrong.add((state, key))
            correction = self.texts[onward[0]]
            reason = _reason(text, chain.answer, right)
            self.build.mistake(text, reason, correction, self.ends[state][0])
            self.counts["misconceptions"] += 1
            return
        self.counts["never leave"] += 1


def _reason(step: str, ends: str | None, right: str | None) -> str:
    """Say what shows a step to be wrong: its own arithmetic, or where it leads."""
    for left, stated in _EQUATION.findall(_MARK.sub("", step)):
        formula = _bare(left)
        try:
            value = operations(formula)[-1].result
        except (DataError, IndexError):
            continue
        if show(value) != _bare(stated):
            return f"{left.strip()} is {show(value)}, not {stated.strip()}."
    leads = f"This way leads to {ends}"
    return f"{leads}, but the answer is {right}." if right is not None else f"{leads}."


def _bare(text: str) -> str:
    plain = re.sub(r"[\s$,]", "", text).replace("x", "*").replace("×", "*").replace("÷", "/")
    return re.sub(r"(\d)\.0+(?!\d)", r"\1", plain)
