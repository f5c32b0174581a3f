"""The plan: a pure function of seed, epoch, step and rank."""

from __future__ import annotations

import itertools

import pytest

from collegium.errors import ArgumentError, DataError
from collegium.objectives.sequences import EncodedSequence
from collegium.train.collate import Collator
from collegium.train.loader import ShardLoader
from collegium.train.plan import Plan, evaluation_batches

OBJECTIVES = ("label", "rationale:a", "rationale:b")


def sequence(question: int, objective: str, length: int = 3) -> EncodedSequence:
    return EncodedSequence(f"q{question}", objective, list(range(1, length + 1)), [0], [1], [1.0])


def data(questions: int = 11) -> list[EncodedSequence]:
    """Every question has a label, all but each fourth a rationale of a, some two of b."""
    rows = []
    for q in range(questions):
        rows.append(sequence(q, "label"))
        if q % 4:
            rows.append(sequence(q, "rationale:a", 2 + q % 5))
        rows += [sequence(q, "rationale:b", 4 + q % 3) for _ in range(q % 3)]
    return rows


def flat(shard: list[list[list[int]]]) -> list[int]:
    return [i for micro in shard for row in micro for i in row]


@pytest.mark.parametrize("batches", ["separate", "mixed"])
@pytest.mark.parametrize("packing", [False, True])
def test_each_epoch_holds_every_sequence_once(batches: str, packing: bool) -> None:
    rows = data()
    plan = Plan(rows, 4, OBJECTIVES, objective_batches=batches, packing=packing, row_tokens=9)
    for epoch in range(2):
        seen = [i for step in range(plan.steps_per_epoch) for i in flat(plan.shard(epoch, step, 0))]
        assert sorted(seen) == list(range(len(rows)))
    assert plan.steps_per_epoch == 3
    assert [plan.step_questions(0, s) for s in range(3)] != [
        plan.step_questions(1, s) for s in range(3)
    ]


def test_separate_micro_batches_hold_one_objective_and_may_be_empty() -> None:
    rows = [sequence(q, "label") for q in range(4)] + [sequence(0, "rationale:a")]
    plan = Plan(rows, 2, ("label", "rationale:a"))
    shards = [plan.shard(0, step, 0) for step in range(2)]
    assert all(len(shard) == 2 for shard in shards)
    for shard in shards:
        for objective, micro in zip(plan.objectives, shard, strict=True):
            assert all(rows[i].objective == objective for row in micro for i in row)
    assert [] in [shard[1] for shard in shards]
    assert Collator(plan.objectives, 0)(rows, []).validate().edge_src.numel() == 0


@pytest.mark.parametrize(("accumulation", "world"), [(1, 1), (3, 1), (1, 2), (2, 2), (5, 3)])
def test_sharding_only_deals_out_the_same_questions(accumulation: int, world: int) -> None:
    rows = data(13)
    one = Plan(rows, 6, OBJECTIVES, seed=3)
    for step in range(one.steps_per_epoch):
        dealt = [
            i
            for rank in range(world)
            for part in range(accumulation)
            for i in flat(
                Plan(
                    rows, 6, OBJECTIVES, accumulation=accumulation, seed=3,
                    rank=rank, world_size=world,
                ).shard(1, step, part)
            )
        ]  # fmt: skip
        assert sorted(dealt) == sorted(flat(one.shard(1, step, 0)))


def test_rows_respect_their_capacity() -> None:
    rows = data(40)
    plan = Plan(rows, 40, OBJECTIVES, objective_batches="mixed", packing=True, row_tokens=12)
    micro = plan.shard(0, 0, 0)[0]
    assert max(sum(len(rows[i]) for i in row) for row in micro) <= 12
    assert any(len(row) > 1 for row in micro)


def test_objectives_that_are_not_trained_are_left_out() -> None:
    plan = Plan(data(), 4, ("label",))
    assert plan.questions == 11
    assert all(data()[i].objective == "label" for i in flat(plan.shard(0, 0, 0)))


def test_the_loader_skips_without_building() -> None:
    from accelerate import skip_first_batches

    plan = Plan(data(), 4, OBJECTIVES, accumulation=2)
    whole = ShardLoader(plan, Collator(OBJECTIVES, 0))
    whole.set_epoch(1)
    expected = [[b.input_ids.tolist() for b in shard] for shard in whole]
    assert len(expected) == len(whole) == 6
    loader = ShardLoader(plan, Collator(OBJECTIVES, 0))
    rest = skip_first_batches(loader, 4)
    rest.batch_sampler.batch_sampler.set_epoch(1)
    assert [[b.input_ids.tolist() for b in shard] for shard in rest] == expected[4:]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_batches_cover_all_and_are_equally_many(world: int) -> None:
    rows = data()
    parts = [
        evaluation_batches(rows, OBJECTIVES, 4, rank=rank, world_size=world)
        for rank in range(world)
    ]
    assert len({len(part) for part in parts}) == 1
    seen = [i for i in itertools.chain.from_iterable(flat(part) for part in parts)]
    assert sorted(seen) == list(range(len(rows)))


def test_errors() -> None:
    with pytest.raises(DataError, match=r"objectives \['rationale:x'\]; the data has \['label'"):
        Plan(data(), 4, ("rationale:x",))
    with pytest.raises(ArgumentError, match="batch_size: expected 1 or more, found 0"):
        Plan(data(), 0, OBJECTIVES)
    with pytest.raises(ArgumentError, match=r"rank: expected 0\.\.1, found 2"):
        Plan(data(), 2, OBJECTIVES, rank=2, world_size=2)
    with pytest.raises(DataError, match="has 6 tokens, a packed row 5: raise train"):
        Plan(data(), 2, OBJECTIVES, packing=True, row_tokens=5)
