"""Thought graphs and branch rows: exactness, tokens, step time, padding, packer speed.

Times are processor time of one thread, rivals interleaved in this run. The real checkpoint is
SmolLM2-135M-Instruct (`--model DIR`), the data TinyLLM's recordings (`--data DIR`), the reference
for the packer a small Rust program (`--probe FILE`); what is not given is named as absent.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from collegium.packing import pack
from collegium.unrolling import GraphTokens, TokenNode, Trees, unroll
from graph_models import branch_rows, equality, step_gain
from graph_speed import packer_speed

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="folder of smollm2-135m-instruct")
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--probe", type=Path, default=SHARED / "probes" / "graph_pack.rs")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), help="parts to run")
    parser.add_argument("--sets", nargs="*", default=["tinyllm_obqa", "tinyllm_pubmedqa"])
    parser.add_argument("--ways", nargs="*", default=["separate_mixed", "one_objective_at_a_time"])
    parser.add_argument("--rounds", type=int, default=3, help="of the packer's speed")


def template(rng: random.Random, *, paths: int = 3, steps: int = 6, meta: bool = True) -> list:
    """A problem with several solution paths, misconceptions, checks; sizes as in real answers."""
    nodes: list[TokenNode] = []

    def add(parents: tuple[int, ...], mean: int, weight: float = 1.0) -> int:
        length = max(4, int(rng.gauss(mean, mean * 0.25)))
        ids = [rng.randrange(4, 200) for _ in range(length)]
        nodes.append(TokenNode(ids, parents, weight))
        return len(nodes) - 1

    shared = [add((add((), 150, 0.0),), 60)]
    strategy = shared[0]
    for _ in range(2):
        shared.append(add((shared[-1],), 55))
    thoughts = []
    for path in range(paths):
        fresh = path == paths - 1
        last = strategy if fresh else shared[-1]
        for step in range(steps if fresh else steps - 2):
            last = add((last,), 55)
            thoughts.append(last)
            if meta and step % 2:
                add((last,), 30, 0.5)
        add((add((last,), 12),), 40)
    for _ in range(4):
        wrong = add((rng.choice(thoughts + shared),), 50, 0.0)
        add((wrong,), 60)
    return nodes


def path_tokens(trees: Trees) -> int:
    """Tokens of all root-leaf paths of trees, each written out."""
    total = 0
    for a, b in zip(trees.token_offsets[:-1], trees.token_offsets[1:], strict=True):
        ends, positions = trees.subtree_end[a:b], trees.position_ids[a:b]
        leaves = ends == np.arange(1, b - a + 1)
        total += int((positions[leaves] + 1).sum())
    return total


def tokens(args: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for name, meta, bar in (("three_paths", False, 2.0), ("with_metacognition", True, 3.5)):
        rng = random.Random(1)
        graphs = [template(rng, meta=meta) for _ in range(200)]
        trees = unroll(GraphTokens.from_nodes(graphs))
        gain = path_tokens(trees) / int(trees.lengths.sum())
        found[name] = {
            "nodes": statistics.mean(map(len, graphs)),
            "row_tokens": float(trees.lengths.mean()),
            "gain": gain,
            "bar": bar,
            "met": gain >= bar,
        }
    return found


def text_lengths(data: Path, tokenizer: Any) -> list[int]:
    """Token lengths of TinyLLM's texts: each question with one of its rationales."""
    texts = []
    for path in sorted(data.glob("tinyllm_*/*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for row in rows:
            for entry in row["teachers"].values():
                texts.append(f"{row['question']}\n{entry.get('rationale') or ''}")
    offsets = tokenizer.encode_batch(texts).offsets
    return [max(int(n), 1) for n in offsets[1:] - offsets[:-1]]


def padding(args: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(2)
    graphs = [
        template(rng, paths=rng.choice((1, 2, 3)), steps=rng.choice((3, 4, 6)), meta=bool(i % 2))
        for i in range(4000)
    ]
    given = GraphTokens.from_nodes(graphs)
    trees = unroll(given, capacity=4096)
    found: dict[str, Any] = {}
    sizes: dict[str, tuple[list[int], float | None]] = {"templates": (trees.lengths.tolist(), None)}
    if args.lengths:
        # Graphs hold about five times the text of their question and one rationale.
        sizes["short_texts"] = ([min(n, 4096) for n in args.lengths], 0.001)
        sizes["graphs"] = ([min(5 * n, 4096) for n in args.lengths], 0.005)
    for name, (lengths, bar) in sizes.items():
        found[name] = _waste(lengths, 4096, bar)
    # Three such graphs fill a row badly; smaller trees fill it, but repeat their ancestors.
    found["templates"]["useful"] = 1 - found["templates"]["waste"]
    for limit in (1536, 1280, 1024):
        parts = unroll(given, capacity=limit)
        rows = pack(parts.lengths, 4096).rows
        total = int(parts.lengths.sum())
        found[f"templates_split_at_{limit}"] = {
            "items": len(parts),
            "rows": rows,
            "waste": 1 - total / (rows * 4096),
            "repeated": parts.repeated / total,
            "useful": (total - parts.repeated) / (rows * 4096),
        }
    cut = unroll(given, capacity=1024)
    # Supervised tokens: every authored token with a weight, once, whether graphs are split or not.
    authored = sum(len(n.tokens) for g in graphs for n in g if n.weight > 0)
    found["lost_tokens"] = {
        "supervised_authored": authored,
        "edges_whole": len(trees.edge_src),
        "edges_split_at_1024": len(cut.edge_src),
        "repeated_by_the_split": cut.repeated / int(cut.lengths.sum()),
        "met": authored == len(trees.edge_src) == len(cut.edge_src),
    }
    return found


def _waste(lengths: list[int], capacity: int, bar: float | None) -> dict[str, Any]:
    rows = pack(lengths, capacity).rows
    waste = 1 - sum(lengths) / (rows * capacity)
    return {
        "items": len(lengths),
        "mean_tokens": statistics.mean(lengths),
        "rows": rows,
        "fewest_possible": -(-sum(lengths) // capacity),
        "waste": waste,
        **({} if bar is None else {"bar": bar, "met": waste <= bar}),
    }


PARTS = {
    "tokens": tokens,
    "padding": padding,
    "packer": packer_speed,
    "equality": equality,
    "step_gain": step_gain,
    "branch_rows": branch_rows,
}


def run(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from collegium.tokenizer import Tokenizer

    torch.set_num_threads(1)
    args.template = template
    args.tokenizer = Tokenizer.from_pretrained(args.model) if args.model else None
    args.lengths = []
    if args.tokenizer is not None and args.data.is_dir():
        args.lengths = text_lengths(args.data, args.tokenizer)
    out: dict[str, Any] = {"clock": "processor time, one thread"}
    for name, part in PARTS.items():
        if args.only is None or name in args.only:
            start = time.process_time()
            out[name] = part(args)
            out[name]["seconds"] = round(time.process_time() - start, 1)
    return out
