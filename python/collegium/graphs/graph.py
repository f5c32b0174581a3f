"""`ThoughtGraph`: one problem with the several ways of thinking about it, right and wrong.

Schema ``beluga.graph/1``. The model takes any graph that has this form, sound or not:
`collegium.graphs.validate` says what is wrong with it, `collegium.graphs.repair` mends it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collegium.errors import DataError
from collegium.graphs.kinds import KIND_WEIGHTS, UNDECIDED_ALTERNATIVE, EdgeKind, NodeKind

VERSION = "beluga.graph/1"

Checker = Literal["exact", "numeric", "mc", "code", "none"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Alternative(_Part):
    """Something else that was considered at a node, and why it was not done."""

    option: str
    reason_rejected: str = ""


class Node(_Part):
    """One thought.

    `why` it was chosen, which `alternatives` were considered, what it `contributes`. `correct` is
    None where nobody knows. `weight` replaces the kind's weight in the loss. `span` is the place
    in the teacher's raw output, ``[start, end)`` in characters.
    """

    id: str
    kind: NodeKind
    text: str
    why: str | None = None
    alternatives: Annotated[tuple[Alternative, ...], Field(strict=False)] = ()
    contributes: str | None = None
    correct: bool | None = None
    weight: float | None = Field(default=None, ge=0)
    span: Annotated[tuple[int, int], Field(strict=False)] | None = None

    @property
    def wrong(self) -> bool:
        """Whether this text must never be learnt as it stands."""
        return self.kind == "misconception" or self.correct is False

    @property
    def loss_weight(self) -> float:
        """Weight of this node's tokens in the loss; 0 for wrong text, whatever `weight` says."""
        if self.wrong:
            return 0.0
        if self.weight is not None:
            return self.weight
        if self.kind == "alternative" and self.correct is None:
            return UNDECIDED_ALTERNATIVE
        return KIND_WEIGHTS[self.kind]


class Edge(_Part):
    """A relation between two nodes, from `src` to `dst`."""

    src: str
    dst: str
    kind: EdgeKind = "next"


class Answer(_Part):
    """The problem's answer, how to compare with it, and whether a checker confirmed it."""

    value: str
    checker: Checker = "exact"
    verified: bool = False


class Source(_Part):
    """The teacher a graph came from; `repairs` counts by code what was set right in its notes."""

    model: str
    prompt_hash: str = ""
    seed: int | None = None
    finish: str | None = None
    repairs: dict[str, int] | None = None


class ThoughtGraph(_Part):
    """A directed graph of thoughts about one problem.

    Its *context edges* (``next``, ``primary``, ``fork``, ``error``) form a DAG with the problem as
    only root: a node's text is read after the texts of its ancestors. The order of nodes and edges
    carries meaning (the first context edge into a node comes from its primary parent, unless one
    says ``primary``), so `==` regards it; `fingerprint` does not.
    """

    v: Literal["beluga.graph/1"] = VERSION
    id: str
    problem: str
    problem_lang: str | None = None
    answer: Answer | None = None
    nodes: Annotated[tuple[Node, ...], Field(strict=False)]
    edges: Annotated[tuple[Edge, ...], Field(strict=False)] = ()
    teacher: Source | None = None
    license: str | None = None

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the graph as JSON text; fields without a value are left out."""
        return self.model_dump_json(exclude_none=True, exclude_defaults=False, indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = "graph") -> ThoughtGraph:
        """Read `to_json` back; `where` names the source in errors.

        Raises:
            DataError: not JSON, another version, a missing, unknown or wrong field.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not valid JSON ({error})") from None
        return cls.from_values(values, where=where)

    @classmethod
    def from_values(cls, values: Any, *, where: str = "graph") -> ThoughtGraph:
        """Build a graph from JSON values; see `from_json`."""
        if not isinstance(values, Mapping):
            raise DataError(f"{where}: expected an object, found {type(values).__name__}")
        version = values.get("v")
        if version != VERSION:
            raise DataError(
                f"{where}: expected a thought graph of version {VERSION!r} (field 'v'), found "
                f"{version!r}"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise DataError(f"{where}{_first_problem(error)}") from None

    def node(self, identifier: str) -> Node:
        """Return the (first) node with this id.

        Raises:
            DataError: there is none.
        """
        for node in self.nodes:
            if node.id == identifier:
                return node
        raise DataError(f"graph {self.id!r}: no node {identifier!r}")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
    if first["type"] == "missing":
        return f", field {path!r}: missing"
    if first["type"] == "extra_forbidden":
        return f": unknown field {path!r}"
    found = repr(first["input"])
    return f", field {path!r}: {first['msg'].lower()}, found {found[:60]}"
