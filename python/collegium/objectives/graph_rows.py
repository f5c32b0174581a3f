"""Thought graphs as training rows: the question once, its thoughts and its label below it.

The root holds the question's ids, below it stand the markers (all of weight 0), below the marker
of ``rationale:<teacher>`` the thoughts of that teacher's graph, below that of ``label`` the answer.
Every path is a prompt and a plain text, as the student reads and writes them afterwards. An
encoder-decoder reads each prompt whole, marker included: it gets one graph for each objective.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collegium.errors import ArgumentError
from collegium.example import Example
from collegium.graphs.context import thought_tokens
from collegium.graphs.files import graphs_of
from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import NodeKind
from collegium.graphs.select import with_paths, without_kinds
from collegium.graphs.structure import Structure
from collegium.objectives.formats import LABEL, RATIONALE_PREFIX, PromptFormat, StudentKind
from collegium.objectives.prompts import SpecialIds, encode_prompts
from collegium.objectives.sequences import EncodedSequence
from collegium.unrolling import GraphTokens, TokenNode

if TYPE_CHECKING:
    from collegium.tokenizer import Tokenizer


@dataclass(frozen=True)
class GraphChoice:
    """Which thoughts become part of a row, and what they weigh."""

    leave_out: tuple[NodeKind, ...] = ()
    max_paths: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    """Kind to weight, in place of the kind's own; wrong text stays at 0."""
    keep_apart: bool = True
    """Whether a graph is used although a thought changes the tokens of the text before it (E16)."""

    def of(self, graph: ThoughtGraph) -> ThoughtGraph:
        """Return the part of a graph that is used."""
        if self.leave_out:
            graph = without_kinds(graph, self.leave_out)
        if self.max_paths is not None:
            graph = with_paths(graph, self.max_paths)
        return graph

    def weight(self, node: Node) -> float:
        """Return the weight of a node's tokens in the loss."""
        own = self.weights.get(node.kind)
        return node.loss_weight if own is None or node.wrong or node.weight is not None else own


@dataclass
class GraphCounts:
    """What became of the graphs of a split."""

    graphs: int = 0
    nodes: int = 0
    tokens: int = 0
    joined: int = 0
    """Thoughts whose ids depend on the text before them and were taken in its context."""
    apart: int = 0
    """Thoughts that change the ids of the text before them (E16)."""
    first_apart: str = ""
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason to number of rationales or graphs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {**vars(self), "dropped": dict(self.dropped)}


def graph_nodes(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    form: PromptFormat,
    objectives: Sequence[str],
    special: SpecialIds,
    *,
    input_text: Callable[[Example], str],
    kind: StudentKind = "decoder",
    choice: GraphChoice | None = None,
    max_prompt_tokens: int = 512,
) -> tuple[list[str], list[list[TokenNode]], GraphCounts]:
    """Return example ids and the token nodes of each example that has anything to learn.

    For an encoder-decoder an example has one list of nodes for each of its objectives.

    Raises:
        ArgumentError: the marker does not stand after the question.
        DataError: a rationale's graph is damaged or its context edges run in a circle.
    """
    if form.marker_position != "after":
        raise ArgumentError("rows of graphs share the question: set pack.marker_position to after")
    form = form.resolve(objectives)
    counts = GraphCounts()
    questions = [input_text(example) for example in examples]
    prompts = {
        name: encode_prompts(
            questions,
            name,
            form,
            tokenizer,
            special,
            kind=kind,
            max_prompt_tokens=max_prompt_tokens,
        )[0]
        for name in objectives
    }
    ids, rows = [], []
    for index, example in enumerate(examples):
        own = {name: prompts[name][index] for name in objectives}
        branches = [
            (name, nodes)
            for number, name in enumerate(objectives)
            for nodes in _branches(example, name, number, tokenizer, special, choice, counts)
        ]
        together = [branches] if kind == "decoder" else _by_objective(branches)
        for group in filter(None, together):
            ids.append(example.id)
            rows.append(_rooted(own, group))
    return ids, rows, counts


def graph_tokens(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    form: PromptFormat,
    objectives: Sequence[str],
    special: SpecialIds,
    **options: Any,
) -> tuple[list[str], GraphTokens, GraphCounts]:
    """Return `graph_nodes` as the flat arrays that the packer takes."""
    ids, rows, counts = graph_nodes(examples, tokenizer, form, objectives, special, **options)
    return ids, GraphTokens.from_nodes(rows), counts


def path_sequences(
    example_ids: Sequence[str],
    rows: Sequence[Sequence[TokenNode]],
    objectives: Sequence[str],
    *,
    decoder_start: int | None = None,
) -> Iterator[EncodedSequence]:
    """Yield every root-to-leaf path of token trees as a sequence of its own.

    What several paths share is read, and learnt, once a path: the usual way to train on several
    solutions, and the slow counterpart of a packed row. With `decoder_start` (an encoder-decoder)
    the encoder reads the root, the decoder the rest.

    Raises:
        ArgumentError: a node has several parents (its graph is no tree).
    """
    for example_id, nodes in zip(example_ids, rows, strict=True):
        if any(len(node.parents) > 1 for node in nodes):
            raise ArgumentError(f"example {example_id!r}: paths need trees; a node has two parents")
        inner = {parent for node in nodes for parent in node.parents}
        for leaf in (i for i in range(len(nodes)) if i not in inner):
            chain = [leaf]
            while nodes[chain[0]].parents:
                chain.insert(0, nodes[chain[0]].parents[0])
            ids: list[int] = [] if decoder_start is None else [decoder_start]
            src, targets, weights = [], [], []
            for node in (nodes[i] for i in chain[decoder_start is not None :]):
                for token in node.tokens:
                    if node.weight > 0:
                        src.append(len(ids) - 1)
                        targets.append(token)
                        weights.append(float(node.weight))
                    ids.append(token)
            if src:
                name = objectives[nodes[leaf].objective]
                encoder = None if decoder_start is None else list(nodes[0].tokens)
                yield EncodedSequence(example_id, name, ids[:-1], src, targets, weights, encoder)


def _branches(
    example: Example,
    objective: str,
    number: int,
    tokenizer: Tokenizer,
    special: SpecialIds,
    choice: GraphChoice | None,
    counts: GraphCounts,
) -> Iterator[list[TokenNode]]:
    """Yield lists of nodes whose parents are numbered within the list; -1 is the marker."""
    if objective == LABEL:
        if example.answer is None:
            counts.dropped["no answer"] += 1
        else:
            ids = _encode(tokenizer, [example.answer.strip()])[0]
            yield [TokenNode([*ids, special.eos], (-1,), 1.0, number)]
        return
    teacher = objective.removeprefix(RATIONALE_PREFIX)
    carried = dict(graphs_of(example))
    own = [i for i, entry in enumerate(example.rationales) if entry.teacher == teacher]
    counts.dropped["rationale without a graph"] += sum(i not in carried for i in own)
    for i in own:
        if i not in carried:
            continue
        graph = (choice or GraphChoice()).of(carried[i])
        nodes = _thoughts(graph, number, tokenizer, special, choice or GraphChoice(), counts)
        if nodes is None:
            continue
        if any(node.weight > 0 for node in nodes):
            counts.graphs += 1
            counts.nodes += len(nodes)
            counts.tokens += sum(len(node.tokens) for node in nodes)
            yield nodes
        else:
            counts.dropped["nothing to learn"] += 1


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    ids = encoded.ids.tolist()
    return [ids[a:b] for a, b in itertools.pairwise(encoded.offsets.tolist())]


def _thoughts(
    graph: ThoughtGraph,
    number: int,
    tokenizer: Tokenizer,
    special: SpecialIds,
    choice: GraphChoice,
    counts: GraphCounts,
) -> list[TokenNode] | None:
    structure = Structure(graph)
    found = thought_tokens(structure, lambda texts: _encode(tokenizer, texts))
    counts.joined += found.joined
    counts.apart += len(found.problems)
    if found.problems:
        counts.first_apart = counts.first_apart or f"graph {graph.id!r}: {found.problems[0]}"
        if not choice.keep_apart:
            counts.dropped["E16"] += 1
            return None
    place = {i: k for k, i in enumerate(found.ids)}
    nodes = []
    for i, ids in found.ids.items():
        # Only an answer ends a text: from corrections one would learn to stop without it.
        ends = graph.nodes[i].kind == "answer" and not structure.children[i]
        tokens = [*ids, special.eos] if ends else ids
        parents = tuple(place.get(p, -1) for p in structure.parents[i])
        nodes.append(TokenNode(tokens, parents, choice.weight(graph.nodes[i]), number))
    return _without_empty(nodes)


def _without_empty(nodes: list[TokenNode]) -> list[TokenNode]:
    """Join the parents and children of nodes without tokens (white space of a word tokenizer)."""
    if all(node.tokens for node in nodes):
        return nodes
    kept: list[TokenNode] = []
    place: dict[int, tuple[int, ...]] = {-1: (-1,)}
    for i, node in enumerate(nodes):
        parents = tuple(dict.fromkeys(q for p in node.parents for q in place[p]))
        if node.tokens:
            place[i] = (len(kept),)
            kept.append(TokenNode(node.tokens, parents, node.weight, node.objective))
        else:
            place[i] = parents
    return kept


def _by_objective(
    branches: Sequence[tuple[str, list[TokenNode]]],
) -> list[list[tuple[str, list[TokenNode]]]]:
    names = dict.fromkeys(name for name, _ in branches)
    return [[branch for branch in branches if branch[0] == name] for name in names]


def _rooted(
    prompts: Mapping[str, list[int]], branches: Sequence[tuple[str, list[TokenNode]]]
) -> list[TokenNode]:
    """Put the question in front, the markers below it, each branch below its marker."""
    used = [prompts[name] for name in dict.fromkeys(name for name, _ in branches)]
    shared = min(map(len, used)) - (len(used) > 1)
    while any(prompt[:shared] != used[0][:shared] for prompt in used):
        shared -= 1
    if shared < 1:
        raise ArgumentError("the prompts of the objectives share no beginning")
    nodes = [TokenNode(used[0][:shared], weight=0.0)]
    markers: dict[str, int] = {}
    for name, branch in branches:
        if name not in markers:
            rest = prompts[name][shared:]
            markers[name] = len(nodes) if rest else 0
            if rest:
                nodes.append(TokenNode(rest, (0,), 0.0))
        first = len(nodes)
        for node in branch:
            parents = tuple(markers[name] if p < 0 else first + p for p in node.parents)
            nodes.append(TokenNode(node.tokens, parents, node.weight, node.objective))
    return nodes
