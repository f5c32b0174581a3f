"""Rows of trees in models: exactness, and the time of a training step (forward and backward)."""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from collegium.batch import PackedBatch
from collegium.example import Example, Rationale
from collegium.objectives.branches import branch_graphs
from collegium.objectives.encode import SpecialIds, encode_examples
from collegium.objectives.formats import PromptFormat
from collegium.objectives.rows import TrainingRows
from collegium.objectives.sequences import EncodedSequence
from collegium.objectives.trees import EncodedTree, encode_trees, linearise
from collegium.train.attention import use_tree_attention
from collegium.train.collate import Collator
from collegium.train.loss import LossOptions, edge_loss
from collegium.train.models import hidden_states, output_head
from collegium.unrolling import GraphTokens, TokenNode

TEACHERS = ("flan-t5-xl", "llama2-7b-chat")
OBJECTIVES = ("label", *(f"rationale:{teacher}" for teacher in TEACHERS))
LOSS = LossOptions(implementation="torch")


def load(folder: Path, *, trees: bool = True) -> Any:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    model.config.use_cache = False
    if trees:
        use_tree_attention(model)
    return model.train()


def backward(model: nn.Module, batch: PackedBatch, total: float) -> float:
    hidden = hidden_states(model, batch)
    weight = batch.edge_weight / total
    loss = edge_loss(hidden, output_head(model), batch, weight, weight * 0, (), LOSS).loss
    loss.backward()
    return loss.item()


def step(model: nn.Module, batches: list[PackedBatch]) -> dict[str, float]:
    """One step, its normaliser counted over all micro-batches; processor time."""
    total = float(sum(batch.edge_weight.sum() for batch in batches))
    model.zero_grad()
    start = time.process_time()
    loss = sum(backward(model, batch, total) for batch in batches)
    seconds = time.process_time() - start
    computed = sum(
        batch.input_ids.numel() if batch.padded_rows_only else sum(n for _, n in batch.segments)
        for batch in batches
    )
    return {"seconds": seconds, "loss": loss, "tokens": computed}


def gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def logprobs(model: nn.Module, batch: PackedBatch) -> Tensor:
    with torch.no_grad():
        hidden = hidden_states(model, batch).flatten(0, 1)[batch.edge_src]
        every = output_head(model).logits(hidden).log_softmax(-1)
    return every.gather(1, batch.edge_target[:, None])[:, 0]


def compare(model: nn.Module, packed: list[PackedBatch], alone: list[PackedBatch]) -> dict:
    """Both sides carry the same edges; log-probabilities are matched by their own edge order."""
    results = []
    for batches in (packed, alone):
        out = step(model, batches)
        grad = gradient(model).clone()
        results.append((out["loss"], grad))
    (a, ga), (b, gb) = results
    return {
        "loss_relative": abs(a - b) / abs(b),
        "gradient_relative": float((ga - gb).norm() / gb.norm()),
    }


def equality(args: argparse.Namespace) -> dict[str, Any]:
    if args.model is None:
        return {"absent": "--model"}
    rng = random.Random(3)
    tree = _small_template(args, rng)
    collate = Collator(("label",), 0)
    paths = linearise(tree)
    model = load(args.model).eval()
    packed = collate([tree], [[0]])
    alone = [collate(paths, [[number]]) for number in range(len(paths))]
    apart = torch.cat([logprobs(model, batch) for batch in alone])
    together = logprobs(model, packed)
    ends = [i for i, end in enumerate(tree.subtree_end.tolist()) if end == i + 1]
    path_of = [next(k for k, end in enumerate(ends) if end >= src) for src in tree.edge_src]
    order = sorted(range(len(path_of)), key=lambda edge: path_of[edge])
    difference = float((together[order] - apart).abs().max())
    found = compare(model, [packed], alone)
    return {
        "model": args.model.name,
        "targets": len(tree.edge_src),
        "paths": len(paths),
        "row_tokens": len(tree),
        "path_tokens": sum(map(len, paths)),
        "logprob_difference": difference,
        **found,
        "met": difference <= 1e-4 and found["gradient_relative"] <= 1e-5,
        "note": "double precision on other architectures: tests/unit/test_train_trees.py",
    }


def _small_template(args: argparse.Namespace, rng: random.Random) -> EncodedTree:
    nodes = [
        TokenNode(node.tokens[: max(3, len(node.tokens) // 8)], node.parents, node.weight)
        for node in args.template(rng)
    ]
    return encode_trees(["t"], GraphTokens.from_nodes([nodes]), ("label",))[0][0]


def step_gain(args: argparse.Namespace) -> dict[str, Any]:
    """A packed row of the template beside a padded batch of its paths, on a small Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2000, hidden_size=384, intermediate_size=1024, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=6, max_position_embeddings=4096,
        attn_implementation="sdpa",  # pyright: ignore[reportCallIssue]
    )  # fmt: skip
    model = LlamaForCausalLM(config).train()
    use_tree_attention(model)
    found: dict[str, Any] = {"parameters": model.num_parameters()}
    collate = Collator(("label",), 0)
    for name, meta in (("three_paths", False), ("with_metacognition", True)):
        nodes = args.template(random.Random(2), meta=meta)
        graph = GraphTokens.from_nodes([nodes])
        tree = encode_trees(["t"], graph, ("label",), count="paths")[0][0]
        # Each path with all its tokens' edges, as anyone trains on several solutions.
        sequences = _whole_paths(nodes)
        row = [collate([tree], [[0]])]
        padded = [collate(sequences, [[n] for n in range(len(sequences))])]
        token_gain = sum(map(len, sequences)) / len(tree)
        rounds = []
        step(model, row)
        for _ in range(2):
            rounds.append((step(model, padded), step(model, row)))
        gains = [a["seconds"] / b["seconds"] for a, b in rounds]
        gain = sum(gains) / len(gains)
        found[name] = {
            "token_gain": token_gain,
            "step_gain": gain,
            "of_token_gain": gain / token_gain,
            "loss_relative": abs(rounds[0][0]["loss"] / rounds[0][1]["loss"] - 1),
            "rounds": gains,
            "bar": 0.65,
            "met": gain / token_gain >= 0.65,
        }
    return found


def _whole_paths(nodes: list[TokenNode]) -> list[EncodedSequence]:
    """Every root-leaf path of a tree, written out with all its edges."""
    inner = {node.parents[0] for node in nodes if node.parents}
    sequences = []
    for leaf in range(len(nodes)):
        if leaf in inner:
            continue
        chain = [leaf]
        while nodes[chain[-1]].parents:
            chain.append(nodes[chain[-1]].parents[0])
        steps = [(token, nodes[v].weight) for v in reversed(chain) for token in nodes[v].tokens]
        edges = [(place, *step) for place, step in enumerate(steps[1:]) if step[1] > 0]
        src, target, weight = (list(column) for column in zip(*edges, strict=True))
        ids = [token for token, _ in steps[:-1]]
        sequences.append(EncodedSequence("t", "label", ids, src, target, weight))
    return sequences


def branch_rows(args: argparse.Namespace) -> dict[str, Any]:
    if args.model is None or not args.data.is_dir():
        return {"absent": "--model or --data"}
    found: dict[str, Any] = {"bar": 0.55, "questions": 8}
    for name in args.sets:
        found[name] = _one_data_set(args, name)
    return found


def _one_data_set(args: argparse.Namespace, name: str) -> dict[str, Any]:
    sequences = _encode(args, name, 8)
    ids, graphs = branch_graphs(sequences, OBJECTIVES)
    trees, counts = encode_trees(ids, graphs, OBJECTIVES, capacity=8192)
    collate = Collator(OBJECTIVES, 0)
    by_objective = [
        [n for n, s in enumerate(sequences) if s.objective == objective] for objective in OBJECTIVES
    ]
    ways = {
        # Eight sequences a batch, as they come and one objective at a time (as published).
        "separate_mixed": [
            collate(sequences, [[n] for n in range(a, min(a + 8, len(sequences)))])
            for a in range(0, len(sequences), 8)
        ],
        "one_objective_at_a_time": [
            collate(sequences, [[n] for n in numbers]) for numbers in by_objective
        ],
        # Four questions a micro-batch: less memory, the same step.
        "branches": [collate(trees, [list(range(a, a + 4))]) for a in range(0, len(trees), 4)],
    }
    model = load(args.model)
    step(model, [collate(trees, [[0]])])
    results = {way: step(model, ways[way]) for way in ("branches", *args.ways)}
    branch = results["branches"]
    ratios = {
        way: branch["seconds"] / result["seconds"]
        for way, result in results.items()
        if way != "branches"
    }
    losses = [result["loss"] for result in results.values()]
    return {
        "sequences": len(sequences),
        "loss_positions": counts.target_tokens,
        "ways": results,
        "of_separate": ratios,
        "loss_spread": max(losses) - min(losses),
        "met": {way: ratio <= 0.55 for way, ratio in ratios.items()},
    }


def _encode(args: argparse.Namespace, name: str, questions: int) -> TrainingRows:
    with gzip.open(args.data / name / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(0).shuffle(rows)
    examples = []
    for row in rows:
        entries = {t: row["teachers"].get(t, {}).get("rationale") for t in TEACHERS}
        if all(entries.values()) and len(examples) < questions:
            examples.append(
                Example(
                    id=row["id"], task=name, split="train", question=row["question"],
                    choices=row.get("choices"), answer=row["label"],
                    rationales=[
                        Rationale(teacher=t, sample=0, text=text, parsed=True,
                                  gold_in_prompt=True, prompt_hash="")
                        for t, text in entries.items()
                    ],
                )
            )  # fmt: skip
    return encode_examples(
        examples,
        args.tokenizer,
        PromptFormat(marker_position="after"),
        OBJECTIVES,
        SpecialIds(eos=2, pad=2),
        input_text=_question,
        max_prompt_tokens=1024,
        max_target_tokens=256,
    )[0]


def _question(example: Example) -> str:
    choices = "".join(f" ({'abcdefgh'[i]}) {c}" for i, c in enumerate(example.choices or ()))
    return f"Question: {example.question}" + (f"\nChoices:{choices}" if choices else "")
