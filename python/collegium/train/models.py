"""What the loss needs of a Hugging Face model: its hidden states and its output head.

Everything here is checked against the model's own logits (`verify_model`), since architectures
differ silently: scaled heads (T5, Cohere, Granite), soft-capped logits (Gemma), masks that are
ignored or misread.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from collegium.batch import PackedBatch
from collegium.errors import ArgumentError
from collegium.objectives.sequences import EncodedSequence
from collegium.objectives.trees import EncodedTree, TrainingItem, encode_trees, linearise
from collegium.train.attention import ATTENTION, flat_hidden_states
from collegium.train.collate import Collator
from collegium.unrolling import GraphTokens, TokenNode


@dataclass(frozen=True)
class Head:
    """``logits = softcap(logit_scale * (hidden @ weight.T + bias))``.

    `weight` [V,D], `bias` [V] or None; ``softcap(x) = c * tanh(x / c)`` or the identity.
    """

    weight: Tensor
    bias: Tensor | None = None
    softcap: float | None = None
    logit_scale: float = 1.0

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits [..., V] of `hidden` [..., D]."""
        raw = nn.functional.linear(hidden, self.weight, self.bias) * self.logit_scale
        return raw if self.softcap is None else self.softcap * torch.tanh(raw / self.softcap)


def plain_model(model: nn.Module) -> Any:
    """Return the Hugging Face model inside adapters."""
    get_base = getattr(model, "get_base_model", None)
    return get_base() if callable(get_base) else model


def is_encoder_decoder(model: nn.Module) -> bool:
    """Tell whether `model` is an encoder-decoder model."""
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def output_head(model: nn.Module) -> Head:
    """Return the head of a language model; its tensors are the model's own, not copies.

    Raises:
        ArgumentError: the model has no linear output embeddings.
    """
    inner = plain_model(model)
    linear = inner.get_output_embeddings() if hasattr(inner, "get_output_embeddings") else None
    if linear is None or not isinstance(getattr(linear, "weight", None), Tensor):
        raise ArgumentError(f"{type(inner).__name__} has no language-model head (expected one)")
    config = inner.config
    scale = 1.0
    if (value := getattr(config, "logit_scale", None)) is not None:  # Cohere
        scale *= float(value)
    if (value := getattr(config, "logits_scaling", None)) is not None:  # Granite
        scale /= float(value)
    if (value := getattr(config, "lm_head_multiplier", None)) is not None:  # Falcon-H1
        scale *= float(value)
    if getattr(config, "scale_decoder_outputs", False) or (  # T5 with a tied head
        config.model_type in ("t5", "mt5", "longt5")
        and not hasattr(config, "scale_decoder_outputs")
        and config.tie_word_embeddings
    ):
        scale *= config.d_model**-0.5
    bias = getattr(linear, "bias", None)
    if bias is None and isinstance(extra := getattr(inner, "final_logits_bias", None), Tensor):
        bias = extra.view(-1)  # BART
    softcap = getattr(config, "final_logit_softcapping", None)
    return Head(linear.weight, bias, float(softcap) if softcap else None, scale)


def hidden_states(model: nn.Module, batch: PackedBatch) -> Tensor:
    """Return the last hidden states [B,T,D] (after the final norm) of `batch`.

    Rows of one sequence and padding behind it need no mask in a causal model. Rows of several
    sequences or of trees run on one flat row, attention in each by itself, where the model has been
    given `attention.use_tree_attention`; else they get the dense mask of
    `PackedBatch.attention_mask`. Both with their `position_ids`.
    """
    inner = plain_model(model)
    if is_encoder_decoder(model):
        if batch.encoder_input_ids is None or batch.encoder_mask is None:
            raise ArgumentError("an encoder-decoder model was given a batch without encoder inputs")
        encoder_mask = batch.encoder_mask.long()
        encoded = inner.get_encoder()(
            input_ids=batch.encoder_input_ids, attention_mask=encoder_mask
        ).last_hidden_state
        return inner.get_decoder()(
            input_ids=batch.input_ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=encoder_mask,
            use_cache=False,
        ).last_hidden_state
    if batch.encoder_input_ids is not None:
        raise ArgumentError("a decoder-only model was given a batch with encoder inputs")
    extra: dict[str, Tensor] = {}
    if not batch.padded_rows_only:
        implementation = getattr(inner.config, "_attn_implementation", "eager")
        if implementation == ATTENTION:
            return flat_hidden_states(inner.base_model, batch)
        extra = {
            "attention_mask": batch.attention_mask(implementation, compute_dtype(inner)),
            "position_ids": batch.position_ids,
        }
    return inner.base_model(input_ids=batch.input_ids, use_cache=False, **extra).last_hidden_state


def core_parameters(model: nn.Module) -> int:
    """Return the number of parameters outside the embeddings (a tied head counts as embedding)."""
    inner = plain_model(model)
    tables = {
        id(m.weight): m.weight.numel() for m in inner.modules() if isinstance(m, nn.Embedding)
    }
    return sum(p.numel() for p in inner.parameters()) - sum(tables.values())


def compute_dtype(model: nn.Module) -> torch.dtype:
    """Return the floating dtype that the model computes in (that of autocast where active)."""
    device = next(model.parameters()).device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return next(p.dtype for p in model.parameters() if p.is_floating_point())


def packing_obstacle(model: nn.Module, longest: int, *, trees: bool = False) -> str | None:
    """Return why rows of several sequences would be wrong for `model`, None if they are right.

    Args:
        model: the student or a teacher.
        longest: length of the longest sequence or path, in tokens.
        trees: the rows hold trees.
    """
    inner = plain_model(model)
    config = inner.config
    name = type(inner).__name__
    if is_encoder_decoder(inner):
        return f"{name} is an encoder-decoder model"
    attention = getattr(config, "_attn_implementation", "eager")
    if attention not in ("sdpa", "eager", ATTENTION):
        return f"{name} uses attn_implementation {attention!r}, which takes no dense mask"
    if "position_ids" not in inspect.signature(inner.base_model.forward).parameters:
        return f"{name} takes no position_ids"
    kinds = set(getattr(config, "layer_types", None) or ())
    strange = kinds - {"full_attention", "sliding_attention", "chunked_attention"}
    if strange or getattr(inner, "_is_stateful", False):
        return f"{name} has layers without attention masks {sorted(strange)}"
    window = getattr(config, "sliding_window", None) or getattr(
        config, "attention_chunk_size", None
    )
    windowed = bool(kinds - {"full_attention"}) if kinds else bool(window)
    if windowed and (window is None or longest > window):
        return (
            f"{name} has sliding-window layers (window {window}) and the longest sequence has "
            f"{longest} tokens: a dense mask would lose the window"
        )
    limit = getattr(config, "max_position_embeddings", None)
    if trees and limit is not None and longest > limit:
        return f"{name} has {limit} positions and the longest path {longest} tokens"
    return _packing_differs(inner, name, trees)


def _probe(model: nn.Module, items: Sequence[TrainingItem], rows: list[list[int]]) -> PackedBatch:
    collate = Collator(("label",), 0, encoder=is_encoder_decoder(model))
    return collate(items, rows).to(next(model.parameters()).device)


def _probe_sequences(model: nn.Module) -> list[EncodedSequence]:
    vocab = output_head(model).weight.shape[0]
    encoder = is_encoder_decoder(model)
    return [
        EncodedSequence(
            f"probe{i}",
            "label",
            [(7 * i + 3 * j + 1) % vocab for j in range(n)],
            [n - 1],
            [0],
            [1.0],
            [(5 * i + 2 * j + 1) % vocab for j in range(n)] if encoder else None,
        )
        for i, n in enumerate((5, 3))
    ]


def _probe_tree(model: nn.Module) -> EncodedTree:
    vocab = output_head(model).weight.shape[0]
    nodes = [
        TokenNode([(5 * i + 3 * j + 1) % vocab for j in range(4)], parents)
        for i, parents in enumerate(((), (0,), (0,), (1,), (1,)))
    ]
    return encode_trees(["probe"], GraphTokens.from_nodes([nodes]), ("label",))[0][0]


@torch.no_grad()
def _packing_differs(model: nn.Module, name: str, trees: bool = False) -> str | None:
    training = model.training
    model.eval()
    try:
        sequences = _probe_sequences(model)
        packed = hidden_states(model, _probe(model, sequences, [[0, 1]]))[0].float()
        apart = hidden_states(model, _probe(model, sequences, [[0], [1]])).float()
        expected = torch.cat([apart[0, :5], apart[1, :3]])
        if not _close(packed[:8], expected, model):
            return f"{name} gives other hidden states for packed rows than for single ones"
        if trees:
            tree = _probe_tree(model)
            paths = linearise(tree)
            together = _probe(model, [tree], [[0]])
            whole = hidden_states(model, together).flatten(0, 1)[together.edge_src]
            single = _probe(model, paths, [[number] for number in range(len(paths))])
            alone = hidden_states(model, single).flatten(0, 1)[single.edge_src]
            order = _edge_order(tree)
            if not _close(whole[order].float(), alone.float(), model):
                return f"{name} gives other hidden states for branches than for their single texts"
    finally:
        model.train(training)
    return None


def _edge_order(tree: EncodedTree) -> Tensor:
    """Return the edges of a tree in the order in which its paths carry them."""
    index = torch.arange(len(tree))
    ends = index[torch.from_numpy(tree.subtree_end).long() == index + 1]
    path_of = torch.searchsorted(ends, torch.from_numpy(tree.edge_src).long())
    return torch.argsort(path_of, stable=True)


@torch.no_grad()
def verify_model(model: nn.Module, role: str = "student") -> None:
    """Compare `output_head` over `hidden_states` with the model's own logits on a tiny batch.

    Raises:
        ArgumentError: they differ; the loss would train another model than the one that is saved.
    """
    inner = plain_model(model)
    training = inner.training
    inner.eval()
    try:
        batch = _probe(inner, _probe_sequences(inner), [[0], [1]])
        ours = output_head(inner).logits(hidden_states(inner, batch))
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if batch.encoder_input_ids is not None and batch.encoder_mask is not None:
            inputs = {
                "input_ids": batch.encoder_input_ids,
                "attention_mask": batch.encoder_mask.long(),
                "decoder_input_ids": batch.input_ids,
            }
        own = inner(**inputs, use_cache=False).logits
    finally:
        inner.train(training)
    if not _close(ours[0].float(), own[0].float(), inner):
        raise ArgumentError(
            f"{role} {type(inner).__name__}: its head is not understood (logits recomputed from "
            "hidden states differ from its own); only linear heads with bias, scale and soft cap "
            "are supported"
        )


def _close(found: Tensor, expected: Tensor, model: nn.Module) -> bool:
    tolerance = 1e-3 if compute_dtype(model) in (torch.float32, torch.float64) else 6e-2
    size = expected.abs().max().clamp(min=1e-6)
    return bool((found - expected).abs().max() <= tolerance * size)
