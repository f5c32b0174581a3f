"""Kinds of nodes and edges, what is read as context, and what each kind weighs in the loss."""

from __future__ import annotations

from typing import Literal, get_args

NodeKind = Literal[
    "problem",
    "strategy",
    "step",
    "alternative",
    "misconception",
    "error_analysis",
    "correction",
    "monitor",
    "evaluation",
    "answer",
]
"""A pitfall is a `misconception`, a check on the way is a `monitor`."""

EdgeKind = Literal["next", "primary", "uses", "fork", "error", "fixes", "evaluates"]
"""``next``: the text goes on. ``primary``: the same, and this parent is the one that counts where a
node has several. ``fork``: another way. ``error``: from a step to a misconception. ``uses``: a
premise that is named. ``fixes``: from an error analysis to the node at which the error was made.
``evaluates``: from an evaluation to what it judges."""

NODE_KINDS: tuple[NodeKind, ...] = get_args(NodeKind)
EDGE_KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)

CONTEXT_EDGES: frozenset[EdgeKind] = frozenset({"next", "primary", "fork", "error"})
"""Edges along which a node's text is read; the others are annotations and may be cyclic."""

METACOGNITIVE: tuple[NodeKind, ...] = ("strategy", "monitor", "evaluation")
"""Choosing a strategy, watching the progress, judging the result."""

MENDING: frozenset[NodeKind] = frozenset({"error_analysis", "correction"})
"""What may stand between a mistake and an answer."""

KIND_WEIGHTS: dict[NodeKind, float] = {
    "problem": 0.0,
    "strategy": 1.0,
    "step": 1.0,
    "alternative": 1.0,
    "misconception": 0.0,
    "error_analysis": 1.0,
    "correction": 1.0,
    "monitor": 0.5,
    "evaluation": 1.0,
    "answer": 1.0,
}
"""Weight of a node's tokens in the loss; wrong text weighs nothing, whatever its kind."""

UNDECIDED_ALTERNATIVE = 0.3
"""Weight of an alternative of which nobody knows whether it is right."""

KIND_ALIASES: dict[str, NodeKind] = {
    "pitfall": "misconception",
    "mistake": "misconception",
    "error": "misconception",
    "wrong": "misconception",
    "check": "monitor",
    "monitoring": "monitor",
    "verify": "evaluation",
    "verification": "evaluation",
    "evaluate": "evaluation",
    "review": "evaluation",
    "analysis": "error_analysis",
    "erroranalysis": "error_analysis",
    "fix": "correction",
    "correct": "correction",
    "plan": "strategy",
    "strategies": "strategy",
    "approach": "strategy",
    "question": "problem",
    "solution": "answer",
    "result": "answer",
    "final": "answer",
    "finalanswer": "answer",
    "final_answer": "answer",
    "option": "alternative",
}
"""Names that teachers use for the kinds."""
