"""The loss and its gradients against a hand-written dense loss in float64 over plain logits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from collegium.errors import ArgumentError
from collegium.kernels import TopKTeacher
from collegium.objectives.sequences import EncodedSequence
from collegium.train.collate import Collator
from collegium.train.config import ObjectiveWeight
from collegium.train.loss import LossOptions, StudentWithLoss, edge_loss, edge_mix
from collegium.train.models import hidden_states, output_head, packing_obstacle, verify_model
from collegium.train.normalise import count_totals, edge_weights
from collegium.train.objective import TotalLoss
from collegium.train.plan import Plan

VOCAB = 37
WEIGHTS = {"label": ObjectiveWeight(1.0, 0.5), "rationale:a": ObjectiveWeight(2.0, 0.0)}
OBJECTIVES = tuple(WEIGHTS)
SMALL = {"vocab_size": VOCAB, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LAYERS = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.3,
}
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {**LAYERS, "tie_word_embeddings": False}),
    "llama tied": ("llama", {**LAYERS, "tie_word_embeddings": True}),
    "gpt_neox": ("gpt_neox", {k: v for k, v in LAYERS.items() if "key_value" not in k}),
    "qwen2": ("qwen2", LAYERS),
    "gpt2": ("gpt2", {"n_embd": 16, "n_layer": 2, "n_head": 2, "initializer_range": 0.3,
                      "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
    "gemma2 (soft cap)": ("gemma2", {**LAYERS, "head_dim": 8, "final_logit_softcapping": 3.0,
                                     "attn_logit_softcapping": None, "sliding_window": 4096}),
    "cohere (scaled)": ("cohere", {**LAYERS, "logit_scale": 0.25}),
}  # fmt: skip
SEQ2SEQ = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2,
           "dropout_rate": 0.0, "decoder_start_token_id": 0}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model(kind: str, *, seed: int = 0, attention: str = "sdpa", **values: Any) -> Any:
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **{**SMALL, **values})
    loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return loader.from_config(config, attn_implementation=attention).eval()


def sequences(count: int = 6, *, encoder: bool = False) -> list[EncodedSequence]:
    r = random.Random(1)
    rows = []
    for number in range(count):
        ids = [r.randrange(3, VOCAB) for _ in range(r.randint(4, 9))]
        n = r.randint(2, len(ids) - 1)
        edges = list(range(len(ids) - n, len(ids)))
        rows.append(
            EncodedSequence(
                f"q{number // 2}",
                OBJECTIVES[number % 2],
                ids,
                edges,
                [r.randrange(3, VOCAB) for _ in edges],
                [r.choice([0.5, 1.0, 2.0]) for _ in edges],
                [r.randrange(3, VOCAB) for _ in range(r.randint(2, 7))] if encoder else None,
            )
        )
    return rows


def plain_logits(m: Any, sequence: EncodedSequence) -> torch.Tensor:
    ids = torch.tensor([sequence.input_ids])
    if sequence.encoder_ids is not None:
        return m(input_ids=torch.tensor([sequence.encoder_ids]), decoder_input_ids=ids).logits[0]
    return m(input_ids=ids).logits[0]


def dense_loss(m: Any, rows: list[EncodedSequence], teachers: dict[str, Any]) -> torch.Tensor:
    """The definition, sequence by sequence, on the models' own logits."""
    total = torch.zeros((), dtype=torch.float64)
    for name, weight in WEIGHTS.items():
        own = [sequence for sequence in rows if sequence.objective == name]
        norm = sum(sum(sequence.edge_weight) for sequence in own)
        for sequence in own:
            z = plain_logits(m, sequence).double()[sequence.edge_src]
            w = torch.tensor(sequence.edge_weight, dtype=torch.float64)
            ce = nn.functional.cross_entropy(
                z, torch.tensor(sequence.edge_target), reduction="none"
            )
            total = total + weight.weight / norm * (w * ce).sum()
            for teacher in teachers.values() if weight.distill else ():
                with torch.no_grad():
                    p = plain_logits(teacher, sequence).double()[sequence.edge_src].log_softmax(-1)
                kl = (p.exp() * (p - z.log_softmax(-1))).sum(-1)
                total = total + weight.distill / norm * (w * kl).sum() / len(teachers)
    return total


def our_gradients(
    m: Any, rows: list[EncodedSequence], teachers: dict[str, Any], **plan: Any
) -> tuple[float, dict[str, torch.Tensor]]:
    total = TotalLoss(WEIGHTS, teachers)
    collate = Collator(
        OBJECTIVES,
        0,
        signals=len(teachers),
        signal_objectives=["label"] if teachers else [],
        encoder=rows[0].encoder_ids is not None,
    )
    order = Plan(rows, len(rows), OBJECTIVES, **plan)
    batches = [
        collate(rows, micro)
        for part in range(order.accumulation)
        for micro in order.shard(0, 0, part)
    ]
    totals = total.count(batches)
    m.zero_grad()
    value = 0.0
    for batch in batches:
        parts = total(StudentWithLoss(m), batch, totals)
        parts["loss"].backward()
        value += float(parts["loss"].detach())
        assert float(parts["ce"].sum() + parts["kd"].sum()) == pytest.approx(
            float(parts["loss"].detach()), rel=1e-5
        )
    return value, {n: p.grad.clone() for n, p in m.named_parameters() if p.grad is not None}


def check(m: Any, rows: list[EncodedSequence], teachers: dict[str, Any], **plan: Any) -> None:
    value, ours = our_gradients(m, rows, teachers, **plan)
    reference = m.double()
    for teacher in teachers.values():
        teacher.double()
    reference.zero_grad()
    loss = dense_loss(reference, rows, teachers)
    loss.backward()
    assert value == pytest.approx(float(loss.detach()), rel=2e-5)
    scale = max(float(p.grad.abs().max()) for p in reference.parameters() if p.grad is not None)
    for name, p in reference.named_parameters():
        assert (ours[name] - p.grad).abs().max() <= 3e-5 * scale, name
    m.float()
    for teacher in teachers.values():
        teacher.float()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", DECODERS)
def test_decoder_only_gradients(kind: str, attention: str) -> None:
    name, values = DECODERS[kind]
    if name == "gemma2" and attention == "sdpa":
        pytest.skip("transformers runs this architecture with eager attention only")
    student = model(name, attention=attention, **values)
    teachers = {
        "one": model("llama", seed=1, attention=attention, **LAYERS),
        "two": model("llama", seed=2, attention=attention, **LAYERS),
    }
    verify_model(student)
    assert packing_obstacle(student, 20) is None
    rows = sequences()
    check(student, rows, teachers, objective_batches="mixed", packing=True, row_tokens=16)
    check(student, rows, teachers, objective_batches="separate", accumulation=3)


@pytest.mark.parametrize(
    "values",
    [
        {"tie_word_embeddings": True},
        {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"},
    ],
)
def test_encoder_decoder_gradients(values: dict[str, Any]) -> None:
    student = model("t5", **SEQ2SEQ, **values)
    teachers = {"one": model("t5", seed=1, **SEQ2SEQ, tie_word_embeddings=True)}
    verify_model(student)
    rows = sequences(encoder=True)
    check(student, rows, teachers, accumulation=2)
    check(student, rows, teachers, objective_batches="mixed")


def test_bart_has_a_bias_on_its_logits() -> None:
    student = model("bart", d_model=16, encoder_layers=1, decoder_layers=1,
                    encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
                    decoder_ffn_dim=16, dropout=0.0, decoder_start_token_id=2)  # fmt: skip
    student.final_logits_bias.normal_()
    verify_model(student)
    check(student, sequences(encoder=True), {})


def test_a_head_that_is_not_understood_is_refused() -> None:
    student = model("llama", **LAYERS)
    student.config.logit_scale = 3.0  # the head would be scaled, the model's logits are not
    with pytest.raises(ArgumentError, match="LlamaForCausalLM: its head is not understood"):
        verify_model(student)


def test_the_head_sees_edge_positions_only() -> None:
    student = model("llama", **LAYERS)
    rows = sequences()
    batch = Collator(OBJECTIVES, 0)(rows, [[i] for i in range(len(rows))])
    seen = []
    linear = nn.functional.linear
    ce, kd = edge_weights(batch, count_totals([batch], 2), torch.ones(2), torch.zeros(2))

    def watched(x: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
        if weight.shape[0] == VOCAB:
            seen.append(x.shape[0])
        return linear(x, weight, *rest)

    hidden = hidden_states(student, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "linear", watched)
        edge_loss(hidden, output_head(student), batch, ce, kd)
    assert all(count <= batch.edge_src.numel() for count in seen)


@pytest.mark.parametrize("teachers", [0, 1])
def test_an_empty_micro_batch_has_loss_zero_and_a_gradient_path(teachers: int) -> None:
    student = model("gpt_neox", **DECODERS["gpt_neox"][1])
    models = {f"t{i}": model("llama", seed=i, **LAYERS) for i in range(teachers)}
    total = TotalLoss(WEIGHTS, models)
    collate = Collator(OBJECTIVES, 0, signals=teachers, signal_objectives=["label"])
    rows = sequences()
    empty, full = collate(rows, []), collate(rows, [[0], [1]])
    parts = total(StudentWithLoss(student), empty, total.count([empty, full]))
    assert float(parts["loss"].detach()) == 0.0
    parts["loss"].backward()
    assert all(p.grad is not None and not p.grad.any() for p in student.parameters())


def test_top_k_lists_work_like_live_teachers() -> None:
    """A list of all ids is the whole distribution."""
    student, teacher = model("llama", **LAYERS), model("llama", seed=1, **LAYERS)
    rows = sequences()
    collate = Collator(OBJECTIVES, 0, signals=1, signal_objectives=OBJECTIVES)
    batch = collate(rows, [[i] for i in range(len(rows))])
    ce, kd = edge_weights(batch, count_totals([batch], 2), torch.ones(2), torch.ones(2))
    with torch.no_grad():
        hidden = hidden_states(teacher, batch).flatten(0, 1)[batch.edge_src]
        logprobs, ids = output_head(teacher).logits(hidden).log_softmax(-1).sort(descending=True)
    (mix,) = edge_mix(batch, [1.0])
    listed = TopKTeacher(ids, logprobs, mix, tail="renormalize")
    states = hidden_states(student, batch)
    found = edge_loss(states, output_head(student), batch, ce, kd, [listed])
    live = TotalLoss({name: ObjectiveWeight(1.0, 1.0) for name in OBJECTIVES}, {"t": teacher})
    expected = live(StudentWithLoss(student), batch, live.count([batch]))
    assert torch.allclose(found.kd, expected["kd"], rtol=1e-4)
    assert torch.allclose(found.divergence, expected["divergence"], rtol=1e-4)


def test_mixture_weights_sum_to_one_where_there_is_a_signal() -> None:
    rows = sequences()
    batch = Collator(OBJECTIVES, 0, signals=2, signal_objectives=["label"])(rows, [[0, 1]])
    batch.edge_signal[0, 1] = -1
    first, second = edge_mix(batch, [1.0, 3.0])
    label = batch.edge_objective == 0
    assert (float(first[0]), float(second[0])) == (1.0, 0.0)
    assert first[label][1:].tolist() == [0.25] * (int(label.sum()) - 1)
    assert not (first + second)[~label].any()
    with pytest.raises(ArgumentError, match="1 mixture weights for 2 signal sources"):
        edge_mix(batch, [1.0])


def test_a_teacher_with_a_padded_head_shares_the_real_columns() -> None:
    student = model("llama", **LAYERS)
    rows = sequences()
    exact = model("llama", seed=1, **LAYERS, tie_word_embeddings=False)
    padded = model("llama", seed=1, **LAYERS, tie_word_embeddings=False)
    padded.resize_token_embeddings(VOCAB + 11, mean_resizing=False)
    results = []
    for teacher in (exact, padded):
        total = TotalLoss(WEIGHTS, {"t": teacher})
        collate = Collator(OBJECTIVES, 0, signals=1, signal_objectives=["label"])
        batch = collate(rows, [[0], [2]])
        results.append(total(StudentWithLoss(student), batch, total.count([batch]))["kd"][0])
    assert float(results[0]) > 0
    assert float(results[0]) == pytest.approx(float(results[1]), rel=1e-5)


def test_divergence_and_temperature_reach_the_kernel() -> None:
    student, teacher = model("llama", **LAYERS), model("llama", seed=1, **LAYERS)
    batch = Collator(OBJECTIVES, 0, signals=1, signal_objectives=["label"])(sequences(), [[0]])
    total = TotalLoss(WEIGHTS, {"t": teacher})
    values = set()
    for options in (
        LossOptions(),
        LossOptions(temperature=2.0),
        LossOptions("reverse_kl"),
        LossOptions("jsd", beta=0.3),
    ):
        parts = total(StudentWithLoss(student, options), batch, total.count([batch]))
        values.add(round(float(parts["kd"].sum()), 6))
    assert len(values) == 4


def test_packing_is_refused_where_a_dense_mask_would_be_wrong() -> None:
    windowed = model("gemma3_text", **LAYERS, head_dim=8, sliding_window=8)
    assert packing_obstacle(windowed, 8) is None
    assert "sliding-window layers (window 8)" in str(packing_obstacle(windowed, 9))
    mistral = model("mistral", **LAYERS, sliding_window=4)
    assert "sliding-window" in str(packing_obstacle(mistral, 5))
    assert "encoder-decoder" in str(packing_obstacle(model("t5", **SEQ2SEQ), 4))
    bloom = model("bloom", attention="eager", hidden_size=16, n_layer=1, n_head=2)
    assert "position_ids" in str(packing_obstacle(bloom, 4))
    mamba = model("mamba", attention="eager", hidden_size=16, num_hidden_layers=1, state_size=4)
    assert packing_obstacle(mamba, 4) is not None
