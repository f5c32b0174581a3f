"""The tokens of thoughts behind the thoughts before them.

A row stores each thought's tokens once, so they have to be the same as in the plain text of every
path. Texts end in a line break where tokens usually end; where they do not, that is E16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collegium.graphs.problem import Problem
from collegium.graphs.structure import Structure

BOUNDARY = "\n"
"""Ends each thought that goes on."""

Encode = Callable[[Sequence[str]], list[list[int]]]
"""Token ids of texts, without special tokens."""


@dataclass
class ThoughtTokens:
    """Token ids by node number, and what was found on the way."""

    ids: dict[int, list[int]]
    joined: int = 0
    """Thoughts whose ids depend on the text before them and were taken behind it."""
    problems: list[Problem] = field(default_factory=list)
    """E16: thoughts that change the ids of the text before them; they keep their own."""


def thought_tokens(structure: Structure, encode: Encode) -> ThoughtTokens:
    """Return the tokens of all thoughts but the problem, in topological order.

    Raises:
        DataError: the context edges run in a circle.
    """
    nodes = structure.graph.nodes
    order = [i for i in structure.acyclic_order() if nodes[i].kind != "problem"]
    texts = {
        i: " ".join(nodes[i].text.split()) + (BOUNDARY if structure.children[i] else "")
        for i in order
    }
    alone = dict(zip(order, encode([texts[i] for i in order]), strict=True))
    found = ThoughtTokens(dict(alone))
    inner = [i for i in order if structure.parents[i] and structure.parents[i][0] in texts]
    joined = encode([texts[structure.parents[i][0]] + texts[i] for i in inner])
    for i, whole in zip(inner, joined, strict=True):
        parent = structure.parents[i][0]
        before = alone[parent]
        if whole[: len(before)] != before:
            found.problems.append(_apart(structure, i, parent))
        elif whole[len(before) :] != alone[i]:
            found.ids[i] = whole[len(before) :]
            found.joined += 1
    return found


def _apart(structure: Structure, i: int, parent: int) -> Problem:
    nodes = structure.graph.nodes
    return Problem(
        "E16",
        f"nodes[{i}]",
        nodes[i].id,
        f"its text changes the tokens of {nodes[parent].id!r} before it",
        f"end {nodes[parent].id!r} with a sign that is a token of its own, or use a tokenizer "
        "whose tokens end at line breaks",
        nodes[parent].id,
    )
