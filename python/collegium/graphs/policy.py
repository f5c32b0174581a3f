"""What is demanded of graphs, and what happens to one that falls short."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from collegium.graphs.kinds import NodeKind

Action = Literal["fix", "reject", "ignore"]

CODES: dict[str, str] = {
    "E01": "node ids are unique",
    "E02": "edges join nodes that exist",
    "E03": "context edges do not run in a circle",
    "E04": "exactly one problem node, it is the root and holds the problem's text",
    "E05": "every node is reached from the problem",
    "E06": "some answer ends a path",
    "E07": "every answer agrees with the known one",
    "E08": "no wrong text leads to an answer without a correction, or has a weight",
    "E09": "as many different paths to a right answer as demanded",
    "E10": "text is there and not too long",
    "E11": "not too many nodes, and no path longer than the student's positions",
    "E12": "problem and strategies do not give the answer away",
    "E13": "siblings differ",
    "E14": "each misconception has an error analysis or a correction",
    "E15": "the fields and kinds that are demanded are there",
    "E16": "tokens are the same behind the text before them (seen when rows are made)",
}
"""Code to what must hold."""

FIXABLE = frozenset(CODES) - {"E06", "E09", "E15"}
"""Codes that a repair can mend (by leaving something out, never by inventing thoughts)."""


class Policy(BaseModel):
    """Limits, demands, and the action for each code (`fix` where nothing is said).

    `fix` mends what can be mended and rejects the rest; `ignore` accepts the graph as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    actions: dict[str, Action] = {}
    max_nodes: int = Field(default=1024, ge=2)
    max_text: int = Field(default=4000, ge=1)
    """Characters of one text."""
    max_depth: int | None = Field(default=None, ge=1)
    """Tokens (or what `size` counts) on the longest path: the student's positions."""
    similarity: float = Field(default=0.9, gt=0, le=1)
    """Jaccard similarity of words and word pairs from which siblings with equal numbers are one."""
    min_paths: int = Field(default=1, ge=0)
    """Different paths without wrong text that end in a right answer."""
    fields: dict[NodeKind, list[Literal["why", "alternatives", "contributes"]]] = {}
    """Fields that every node of a kind must have."""
    kinds: dict[NodeKind, int] = {}
    """How many nodes of a kind there must be."""

    @field_validator("actions")
    @classmethod
    def _known_codes(cls, actions: dict[str, Action]) -> dict[str, Action]:
        for code in actions:
            if code not in CODES:
                raise ValueError(f"unknown code {code!r}; known: E01 .. E16")
        return actions

    def action(self, code: str) -> Action:
        """Return what happens to a graph with this problem."""
        return self.actions.get(code, "fix")


BELUGA = Policy(
    min_paths=2,
    fields={"step": ["why", "contributes"], "strategy": ["why", "alternatives"]},
    kinds={"strategy": 1, "monitor": 1, "evaluation": 1, "misconception": 1, "error_analysis": 1},
)
"""What Beluga's Boosted Explanation Tuning asks of a graph: two verified paths or more, a reason
and a contribution at every step, the alternatives at every choice of a strategy, mistakes with
their analysis, and metacognition of all three sorts."""

POLICIES: dict[str, Policy] = {"default": Policy(), "beluga": BELUGA}
"""Policies by name."""
