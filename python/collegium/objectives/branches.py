"""Branch rows: a question once, its label and every teacher's rationale as branches of one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collegium.errors import ArgumentError
from collegium.objectives.sequences import EncodedSequence
from collegium.unrolling import GraphTokens, TokenNode


def branch_graphs(
    sequences: Iterable[EncodedSequence], objectives: Sequence[str]
) -> tuple[list[str], GraphTokens]:
    """Return the example ids, and a graph for each: the prompts' common ids, then the branches.

    Below the shared beginning stands the rest of each prompt (its marker), below that the targets
    of that prompt. Ids are those of the separate sequences, so that the model sees the same texts;
    the loss edges are the same too. Sequences of one example follow each other.

    Args:
        sequences: decoder-only sequences whose weights are equal within each.
        objectives: names; a node's objective numbers them.

    Raises:
        ArgumentError: a sequence is an encoder-decoder student's, or prompts share no beginning.
    """
    number = {name: index for index, name in enumerate(objectives)}
    groups: dict[str, list[EncodedSequence]] = {}
    for sequence in sequences:
        groups.setdefault(sequence.example_id, []).append(sequence)
    return list(groups), GraphTokens.from_nodes(_graph(group, number) for group in groups.values())


def _graph(group: list[EncodedSequence], number: dict[str, int]) -> list[TokenNode]:
    prompts = [_prompt(sequence) for sequence in group]
    shared = _common(prompts)
    if not shared:
        raise ArgumentError(
            f"example {group[0].example_id!r}: the prompts of its objectives share no beginning; "
            "branches need the marker after the question (pack.marker_position: after)"
        )
    nodes = [TokenNode(prompts[0][:shared], weight=0.0)]
    below: dict[tuple[int, ...], int] = {(): 0}
    for sequence, prompt in zip(group, prompts, strict=True):
        rest = tuple(prompt[shared:])
        if rest not in below:
            below[rest] = len(nodes)
            nodes.append(TokenNode(rest, (0,), weight=0.0))
        nodes.append(
            TokenNode(
                sequence.edge_target,
                (below[rest],),
                sequence.edge_weight[0],
                number[sequence.objective],
            )
        )
    return nodes


def _prompt(sequence: EncodedSequence) -> list[int]:
    """Return the ids before the target; the target's are one after another and weigh the same."""
    first = sequence.edge_src[0]
    n = len(sequence.edge_target)
    plain = (
        sequence.encoder_ids is None
        and sequence.edge_src == list(range(first, first + n))
        and sequence.input_ids[first + 1 :] == sequence.edge_target[:-1]
        and len(set(sequence.edge_weight)) == 1
    )
    if not plain:
        raise ArgumentError(
            f"sequence {sequence.objective!r} of example {sequence.example_id!r}: branches need "
            "decoder-only sequences of a prompt and one target of equal weights"
        )
    return sequence.input_ids[: first + 1]


def _common(prompts: list[list[int]]) -> int:
    """Return the length of the longest common beginning."""
    low, high = min(prompts), max(prompts)
    for place, (a, b) in enumerate(zip(low, high, strict=False)):
        if a != b:
            return place
    return min(len(low), len(high))
