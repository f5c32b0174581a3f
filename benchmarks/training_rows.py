"""A JSONL file to training rows: one pass in Rust against `datasets.map` with an HF tokenizer.

The questions, labels and two teachers' rationales of the TinyLLM recordings, as flat JSONL, cut
into slices. Every slice goes through all rivals in turn, in one process with one thread; what
counts is process CPU time, and that the rows are the same. `datasets.map` is used as its
documentation advises (batched, a fast tokenizer). The first slice, which imports and warms up, is
left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETS = ("tinyllm_obqa", "tinyllm_arc", "tinyllm_pubmedqa")
TARGETS = {"label": "label", "rationale:flan": "flan", "rationale:llama": "llama"}
PROMPTS, LEARNT = 4096, 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared"), help="the shared folder")
    parser.add_argument("--tokenizers", nargs="+", default=["pythia", "qwen3", "mistral03", "t5"])
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--rows", type=int, default=1500, help="questions of a slice")


def run(args: argparse.Namespace) -> dict[str, Any]:
    os.environ |= {"COLLEGIUM_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ |= {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if not (args.data / "data").is_dir():
        raise SystemExit(f"--data {args.data}: no folder data/ in it")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        slices = _slices(args, Path(folder))
        size = sum(path.stat().st_size for path in slices)
        for name in args.tokenizers:
            found.append(_compare(name, args.data, slices, Path(folder)))
    return {
        "rows": found,
        "corpus": {
            "sets": SETS,
            "questions": args.slices * args.rows,
            "bytes": size,
        },
    }


def _compare(name: str, data: Path, slices: list[Path], folder: Path) -> dict[str, Any]:
    from transformers import PreTrainedTokenizerFast

    from collegium import Tokenizer

    file = folder / f"{name}.json"
    with gzip.open(data / "tokenizers" / f"{name}.json.gz") as packed, file.open("wb") as out:
        shutil.copyfileobj(packed, out)
    ours = Tokenizer.from_file(file)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(file))
    work = folder / f"work-{name}"
    rivals: dict[str, Callable[[Path], Any]] = {
        "collegium": lambda path: _ours(ours, path),
        "collegium, written to Parquet": lambda path: _written(ours, path, work),
        "datasets.map": lambda path: _theirs(theirs, path, work),
    }
    seconds: dict[str, list[float]] = {rival: [] for rival in rivals}
    same = True
    for number, path in enumerate(slices):
        rows = {}
        for rival, make in list(rivals.items())[:: -1 if number % 2 else 1]:
            start = time.process_time()
            made = make(path)
            seconds[rival].append(time.process_time() - start)
            rows[rival] = made
        same = same and _same(rows["collegium"], rows["datasets.map"])
    medians = {rival: statistics.median(times[1:] or times) for rival, times in seconds.items()}
    rival = medians["datasets.map"]
    return {
        "tokenizer": name,
        "engine": ours.engine,
        "same_rows": same,
        "cpu_seconds_of_a_slice": seconds,
        "ratio": {ours: rival / medians[ours] for ours in rivals if ours != "datasets.map"},
    }


def _special() -> Any:
    from collegium.objectives.prompts import SpecialIds

    return SpecialIds(eos=1, pad=0)


def _ours(tokenizer: Any, path: Path) -> Any:
    from collegium import encode_training_file
    from collegium.objectives.formats import PromptFormat

    rows, _ = encode_training_file(
        path, tokenizer, PromptFormat(), TARGETS, _special(), id="id",
        max_prompt_tokens=PROMPTS, max_target_tokens=LEARNT,
    )  # fmt: skip
    return rows


def _written(tokenizer: Any, path: Path, work: Path) -> None:
    work.mkdir(exist_ok=True)
    _ours(tokenizer, path).write(work / f"{path.stem}.parquet")


def _theirs(tokenizer: Any, path: Path, work: Path) -> Any:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    prompts = {"label": "predict:", "rationale:flan": "explain flan:"}
    prompts["rationale:llama"] = "explain llama:"

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        inputs, labels = [], []
        texts, targets = [], []
        for row in range(len(batch["question"])):
            for objective, column in TARGETS.items():
                if batch[column][row] is not None:
                    texts.append(f"{prompts[objective]} {batch['question'][row].strip()}\n")
                    targets.append(batch[column][row].strip())
        asked = tokenizer(texts, add_special_tokens=False)["input_ids"]
        learnt = tokenizer(targets, add_special_tokens=False)["input_ids"]
        for prompt, target in zip(asked, learnt, strict=True):
            if not target:
                continue
            if len(prompt) > PROMPTS:
                raise SystemExit("the rival does not cut prompts; raise PROMPTS")
            target = [*target, 1] if len(target) < LEARNT else target[:LEARNT]
            inputs.append(prompt + target)
            labels.append([-100] * len(prompt) + target)
        return {"input_ids": inputs, "labels": labels}

    cache = work / f"cache-{path.stem}"
    data = load_dataset("json", data_files=str(path), split="train", cache_dir=str(cache))
    return data.map(encode, batched=True, remove_columns=data.column_names)


def _same(ours: Any, theirs: Any) -> bool:
    if len(ours) != len(theirs):
        return False
    for row, other in zip(ours, theirs, strict=True):
        learnt = [-100] * (row.edge_src[0] + 1) + row.edge_target
        if [*row.input_ids, row.edge_target[-1]] != other["input_ids"] or learnt != other["labels"]:
            return False
    return True


def _slices(args: argparse.Namespace, folder: Path) -> list[Path]:
    lines = []
    for name in SETS:
        for path in sorted((args.data / "data" / name).glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as rows:
                lines += [_flat(name, json.loads(row)) for row in rows]
    wanted = args.slices * args.rows
    if len(lines) < wanted:
        raise SystemExit(f"--slices times --rows: at most {len(lines)} questions")
    # Sets alternate, so that slices are alike.
    step = len(lines) / wanted
    lines = [lines[int(index * step)] for index in range(wanted)]
    paths = []
    for number in range(args.slices):
        path = folder / f"slice{number}.jsonl"
        path.write_text("".join(lines[number :: args.slices]), "utf-8")
        paths.append(path)
    return paths


def _flat(name: str, row: dict[str, Any]) -> str:
    teachers = row["teachers"]

    def text(teacher: str) -> str | None:
        own = [entry for key, entry in teachers.items() if key.startswith(teacher)]
        return own[0].get("rationale") if own else None

    flat = {
        "id": f"{name} {row['id']}",
        "question": " ".join([row["question"], *map(str, row.get("choices") or [])]),
        "label": row["label"],
        "flan": text("flan"),
        "llama": text("llama"),
    }
    return json.dumps(flat) + "\n"
