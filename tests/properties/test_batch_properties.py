"""Whatever the rows: the batch holds every token and edge once, and sequences stay apart."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.objectives.sequences import EncodedSequence
from collegium.train.collate import Collator

OBJECTIVES = ("label", "rationale:a")


@st.composite
def rows_of_sequences(draw: st.DrawFn) -> tuple[list[EncodedSequence], list[list[int]]]:
    sequences = []
    for number in range(draw(st.integers(1, 7))):
        length = draw(st.integers(1, 9))
        edges = sorted(draw(st.sets(st.integers(0, length - 1), min_size=1)))
        sequences.append(
            EncodedSequence(
                f"q{number}",
                draw(st.sampled_from(OBJECTIVES)),
                draw(st.lists(st.integers(1, 40), min_size=length, max_size=length)),
                edges,
                [draw(st.integers(1, 40)) for _ in edges],
                [draw(st.floats(0.25, 4.0, width=32)) for _ in edges],
            )
        )
    order = draw(st.permutations(range(len(sequences))))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)) | {0, len(order)})
    rows = [list(order[a:b]) for a, b in itertools.pairwise(cuts)]
    return sequences, rows


@settings(max_examples=150, deadline=None)
@given(rows_of_sequences(), st.integers(0, 2), st.sampled_from([1, 8]))
def test_collated_rows(
    data: tuple[list[EncodedSequence], list[list[int]]], signals: int, multiple: int
) -> None:
    sequences, rows = data
    collate = Collator(
        OBJECTIVES, 0, signals=signals, signal_objectives={"label"}, multiple_of=multiple
    )
    batch = collate(sequences, rows).validate(vocab_size=41)
    seen = batch.visibility()
    width = batch.input_ids.shape[1]
    assert width % multiple == 0
    edge = 0
    for r, row in enumerate(rows):
        start = 0
        for index in row:
            sequence = sequences[index]
            n = len(sequence)
            span = slice(start, start + n)
            assert batch.input_ids[r, span].tolist() == sequence.input_ids
            assert batch.position_ids[r, span].tolist() == list(range(n))
            for i in range(n):
                visible = seen[r, start + i].nonzero().view(-1).tolist()
                assert visible == list(range(start, start + i + 1))
            for source, target, weight in zip(
                sequence.edge_src, sequence.edge_target, sequence.edge_weight, strict=True
            ):
                position = r * width + start + source
                assert int(batch.edge_src[edge]) == position
                assert int(batch.edge_target[edge]) == target
                assert float(batch.edge_weight[edge]) == weight
                assert OBJECTIVES[int(batch.edge_objective[edge])] == sequence.objective
                expected = position if sequence.objective == "label" else -1
                assert batch.edge_signal[edge].tolist() == [expected] * signals
                edge += 1
            start += n
        assert bool((batch.input_ids[r, start:] == 0).all())
        for i in range(start, width):  # a pad sees and is seen by itself alone
            assert seen[r, i].nonzero().view(-1).tolist() == [i]
            assert seen[r, :, i].nonzero().view(-1).tolist() == [i]
    assert edge == len(batch.edge_src)
    assert batch.padded_rows_only == all(len(row) == 1 for row in rows)
    recomputed = type(batch).padded_rows_only.func(batch)  # type: ignore[attr-defined]
    # A row of several sequences of one token each looks like padding, and is as harmless.
    alone = all(len(row) == 1 or sum(len(sequences[i]) > 1 for i in row[1:]) == 0 for row in rows)
    assert recomputed == alone
    assert torch.equal(batch.edge_src, batch.edge_src.sort().values)
