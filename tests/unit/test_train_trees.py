"""Trees against their paths, each run alone: hidden states, loss, gradients, isolation."""

from __future__ import annotations

import dataclasses
import random
import warnings

import pytest
import torch
import transformers as tf

from collegium.batch import PackedBatch
from collegium.errors import ArgumentError
from collegium.objectives.trees import EncodedTree, encode_trees, linearise
from collegium.train.attention import ATTENTION, Segments, use_tree_attention
from collegium.train.collate import Collator
from collegium.train.guards import guard
from collegium.train.loss import LossOptions, StudentWithLoss, edge_loss
from collegium.train.models import hidden_states, output_head, packing_obstacle
from collegium.unrolling import GraphTokens, TokenNode

VOCAB = 67
OBJECTIVES = ("label", "rationale:a")
COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
KINDS = {
    "llama": lambda: tf.LlamaConfig(num_key_value_heads=2, **COMMON),
    "qwen2": lambda: tf.Qwen2Config(num_key_value_heads=2, **COMMON),
    "qwen3": lambda: tf.Qwen3Config(num_key_value_heads=2, head_dim=8, **COMMON),
    "neox": lambda: tf.GPTNeoXConfig(hidden_dropout=0.0, attention_dropout=0.0, **COMMON),
    "gpt2": lambda: tf.GPT2Config(
        vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=256,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    ),
    "gemma3": lambda: tf.Gemma3TextConfig(
        num_key_value_heads=2, head_dim=8, sliding_window=6,
        layer_types=["sliding_attention", "full_attention"], **COMMON,
    ),
}  # fmt: skip
EXACT = ("neox", "gpt2")
FULL = ("llama", "qwen2", "qwen3", "neox", "gpt2")


def model_of(kind: str, implementation: str = "sdpa", dtype: torch.dtype = torch.float64):
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(
        KINDS[kind](), attn_implementation="sdpa" if implementation == ATTENTION else implementation
    )
    with torch.no_grad():  # larger weights: differences must show
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6.0)
    model = model.to(dtype).eval()
    if implementation == ATTENTION:
        assert use_tree_attention(model)
    return model


def trees(seed: int = 0, graphs: int = 4, **options) -> list[EncodedTree]:
    rng = random.Random(seed)
    given = []
    for _ in range(graphs):
        nodes = []
        for v in range(rng.randint(4, 9)):
            parents = sorted({rng.randrange(v), rng.randrange(v)}) if v else []
            ids = [rng.randrange(VOCAB) for _ in range(rng.randint(1, 6))]
            nodes.append(TokenNode(ids, parents, rng.choice([0.0, 0.5, 1.0]), rng.randrange(2)))
        given.append(nodes)
    names = [f"q{number}" for number in range(graphs)]
    return encode_trees(names, GraphTokens.from_nodes(given), OBJECTIVES, **options)[0]


def loss_of(model, batch: PackedBatch, teacher=None):
    """Return the summed loss over edges and the gradient of every parameter."""
    model.zero_grad()
    hidden = hidden_states(model, batch)
    head = output_head(model)
    teachers, kd = (), torch.zeros_like(batch.edge_weight)
    if teacher is not None:
        from collegium.train.loss import live_teachers

        teachers = live_teachers({"t": teacher}, {"t": 1.0}, batch)
        kd = batch.edge_weight
    options = LossOptions(implementation="reference")
    out = edge_loss(hidden, head, batch, batch.edge_weight, kd, teachers, options)
    out.loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return out.loss.item(), gradient.clone()


def batches(items: list[EncodedTree], signals: int = 0) -> tuple[PackedBatch, list[PackedBatch]]:
    """Return two rows that hold all trees, and every path in a batch of its own."""
    collate = Collator(OBJECTIVES, pad=0, signals=signals, signal_objectives=OBJECTIVES)
    numbers = list(range(len(items)))
    packed = collate(items, [numbers[::2], numbers[1::2]])
    paths = [path for tree in items for path in linearise(tree)]
    return packed, [collate(paths, [[number]]) for number in range(len(paths))]


@pytest.mark.parametrize("implementation", [ATTENTION, "sdpa", "eager"])
@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("count", ["once", "paths"])
def test_loss_and_gradients_are_the_sum_over_paths(
    kind: str, implementation: str, count: str
) -> None:
    model = model_of(kind, implementation)
    items = trees(count=count)
    packed, alone = batches(items)
    assert not packed.padded_rows_only
    assert all(batch.padded_rows_only for batch in alone)
    loss, gradient = loss_of(model, packed)
    parts = [loss_of(model, batch) for batch in alone]
    limit = 1e-12 if kind in EXACT and implementation != "eager" else 1e-6
    assert loss == pytest.approx(sum(part[0] for part in parts), rel=limit)
    total = torch.stack([part[1] for part in parts]).sum(0)
    assert (gradient - total).norm() <= limit * total.norm()


def logprobs(model, batch: PackedBatch) -> torch.Tensor:
    hidden = hidden_states(model, batch).flatten(0, 1)[batch.edge_src]
    every = output_head(model).logits(hidden).log_softmax(-1)
    return every.gather(1, batch.edge_target[:, None])[:, 0]


@pytest.mark.parametrize("kind", FULL)
def test_logprobs_equal_those_of_the_paths(kind: str) -> None:
    model = model_of(kind, ATTENTION)
    packed, alone = batches(trees(seed=1))
    with torch.no_grad():
        found = {  # by (row of paths does not matter): values of both sides, sorted
            "packed": logprobs(model, packed).sort().values,
            "alone": torch.cat([logprobs(model, batch) for batch in alone]).sort().values,
        }
    limit = 1e-12 if kind in EXACT else 1e-6
    torch.testing.assert_close(found["packed"], found["alone"], rtol=0, atol=limit)


def test_distributions_are_learnt_on_the_same_edges() -> None:
    student, teacher = model_of("neox", ATTENTION), model_of("neox", ATTENTION)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    packed, alone = batches(trees(seed=2), signals=1)
    loss, gradient = loss_of(student, packed, teacher)
    parts = [loss_of(student, batch, teacher) for batch in alone]
    assert loss == pytest.approx(sum(part[0] for part in parts), rel=1e-10)
    total = torch.stack([part[1] for part in parts]).sum(0)
    assert (gradient - total).norm() <= 1e-10 * total.norm()


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("implementation", [ATTENTION, "sdpa"])
def test_a_token_that_is_no_ancestor_changes_nothing(kind: str, implementation: str) -> None:
    model = model_of(kind, implementation)
    packed, _ = batches(trees(seed=3))
    seen = packed.visibility()
    rng = random.Random(0)
    with torch.no_grad():
        before = hidden_states(model, packed)
        for _ in range(6):
            source = rng.choice(packed.edge_src.tolist())
            row, place = divmod(source, packed.input_ids.shape[1])
            ids = packed.input_ids.clone()
            ids[row, place] = (ids[row, place] + 1) % VOCAB
            changed = dataclasses.replace(packed, input_ids=ids)
            changed.__dict__["segments"] = packed.segments
            after = hidden_states(model, changed)
            blind = ~seen[:, :, place]
            blind[1 - row] = True
            assert torch.equal(before[blind], after[blind])
            assert not torch.equal(before, after)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_groups_of_padded_trees_give_the_same(kind: str) -> None:
    model = model_of(kind, ATTENTION)
    packed, _ = batches(trees(seed=4, graphs=7))
    with torch.no_grad():
        expected = hidden_states(model, packed)
        packed.__dict__["_flat"] = Segments.of(packed, grouped=True)
        found = hidden_states(model, packed)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_gradient_checkpointing_recomputes_with_the_segments() -> None:
    packed, _ = batches(trees(seed=5))
    plain = loss_of(model_of("llama", ATTENTION).train(), packed)
    model = model_of("llama", ATTENTION).train()
    StudentWithLoss(model).activation_checkpointing_enable()
    loss, gradient = loss_of(model, packed)
    assert loss == pytest.approx(plain[0], rel=1e-9)
    assert (gradient - plain[1]).norm() <= 1e-7 * gradient.norm()


def test_splitting_changes_neither_loss_nor_gradient() -> None:
    model = model_of("neox", ATTENTION)
    whole, cut = trees(seed=6), trees(seed=6, capacity=32)
    assert len(cut) > len(whole)
    collate = Collator(OBJECTIVES, pad=0)
    a = loss_of(model, collate(whole, [[n] for n in range(len(whole))]))
    b = loss_of(model, collate(cut, [[n] for n in range(len(cut))]))
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    assert (a[1] - b[1]).norm() <= 1e-12 * a[1].norm()


def test_one_objective_alone_prunes_the_other_branches() -> None:
    model = model_of("neox", ATTENTION)
    items = trees(seed=7)
    pruned = [tree.only({"label"}) for tree in items]
    assert sum(len(tree) for tree in pruned if tree) < sum(map(len, items))
    collate = Collator(("label",), pad=0)
    kept = [tree for tree in pruned if tree is not None]
    a = loss_of(model, collate(items, [list(range(len(items)))]))
    b = loss_of(model, collate(kept, [list(range(len(kept)))]))
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    assert (a[1] - b[1]).norm() <= 1e-12 * a[1].norm()


@pytest.mark.parametrize("kind", FULL)
def test_full_attention_models_take_trees(kind: str) -> None:
    assert packing_obstacle(model_of(kind, ATTENTION), 50, trees=True) is None


def test_sliding_windows_are_an_obstacle() -> None:
    model = model_of("gemma3", ATTENTION, torch.float32)
    assert "sliding-window layers (window 6)" in (packing_obstacle(model, 50, trees=True) or "")
    short = model_of("llama", ATTENTION)
    assert "256 positions" in (packing_obstacle(short, 300, trees=True) or "")


def test_generation_is_what_it_was() -> None:
    prompt = torch.tensor([[0, 0, 5, 9], [3, 4, 5, 9]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    texts = []
    for implementation in ("sdpa", ATTENTION):
        model = model_of("llama", implementation, torch.float32)
        guard(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            texts.append(
                model.generate(
                    prompt, attention_mask=mask, max_new_tokens=6, do_sample=False, pad_token_id=0
                )
            )
    assert torch.equal(*texts)


def test_silent_traps_are_errors() -> None:
    packed, alone = batches(trees(seed=8))
    inputs = {"input_ids": packed.input_ids, "position_ids": packed.position_ids}
    eager = model_of("llama", "eager")
    guard(eager)
    with pytest.raises(ArgumentError, match="adds a bool mask to the scores"):
        eager(**inputs, attention_mask=packed.attention_mask("sdpa", torch.float64))
    for kind in ("llama", "gpt2", "neox"):
        model = model_of(kind, "sdpa")
        guard(model)
        for mask in (None, torch.ones_like(packed.input_ids)):
            with pytest.raises(ArgumentError, match="branches would see each other"):
                model(**inputs, attention_mask=mask)
        with pytest.raises(ArgumentError, match="wrong at the branches"):
            model(
                **inputs,
                attention_mask=packed.attention_mask("sdpa", torch.float64),
                labels=packed.input_ids,
            )
        model(input_ids=packed.input_ids)  # ordinary calls go on
    with pytest.raises(ArgumentError, match="labels shifted by one"):
        packed.shifted_labels()
    assert alone
