"""Training rows from the one pass in Rust against a slow reference in plain Python."""

from __future__ import annotations

import functools
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collegium.example import Example, Rationale
from collegium.objectives.encode import encode_examples, encode_training_file
from collegium.objectives.formats import PROMPT_END, PromptFormat, StudentKind, teacher_of
from collegium.objectives.prompts import SpecialIds, encode_prompts
from collegium.objectives.sequences import EncodedSequence, read_sequences, write_sequences
from collegium.tokenizer import Tokenizer

OBJECTIVES = ("rationale:palm", "label", "rationale:flan")
SPACES = " \n\t\x1c\x85\u3000\u200b"
WORDS = [
    "apples", "12", "+", "7", "=", "19.", "Tom's", "", "日本", "é", "ﬁ", "\n", "so", "😀", "the",
    "answer", "is", "<pad>", "predict:", "ü",
]  # fmt: skip


def reference(
    examples: list[Example],
    tokenizer: Tokenizer,
    form: PromptFormat,
    special: SpecialIds,
    kind: StudentKind,
    longest: tuple[int, int],
    conclusion: Callable[[Example, str], str],
) -> tuple[list[EncodedSequence], dict[str, dict[str, Any]]]:
    """One text at a time, by the rules as they are written down."""
    form = form.resolve(OBJECTIVES)

    @functools.cache
    def encode(text: str) -> list[int]:
        return tokenizer.encode_batch([text]).ids.tolist()

    def targets(example: Example, objective: str) -> list[str] | None:
        if objective == "label":
            return None if example.answer is None else [example.answer.strip()]
        texts = []
        for entry in sorted(example.rationales, key=lambda entry: entry.sample):
            if entry.teacher == teacher_of(objective):
                text = entry.text.strip()
                answer = example.answer if entry.answer is None else entry.answer
                if form.conclusion and text and answer is not None:
                    sentence = conclusion(example, answer).strip()
                    text = text if text.endswith(sentence) else f"{text} {sentence}"
                texts.append(text)
        return texts or None

    counts = {
        name: dict(sequences=0, input_tokens=0, target_tokens=0, prompts_truncated=0,
                   targets_truncated=0, dropped={})
        for name in OBJECTIVES
    }  # fmt: skip
    found = []
    for example in examples:
        for objective in OBJECTIVES:
            tally: Any = counts[objective]

            def drop(reason: str, tally: Any = tally) -> None:
                tally["dropped"][reason] = tally["dropped"].get(reason, 0) + 1

            wanted = targets(example, objective)
            if wanted is None:
                drop("no answer" if objective == "label" else "no rationale")
                continue
            parts = [form.marker(objective), example.question.strip()]
            if form.marker_position == "after":
                parts.reverse()
            body = encode(" ".join(part for part in parts if part) + PROMPT_END[kind])
            head = [special.bos] if kind == "decoder" and special.bos is not None else []
            tail = [special.eos] if kind == "encoder-decoder" else []
            room = longest[0] - len(head) - len(tail)
            cut = len(body) > room
            if cut:
                first = form.marker_position == "before"
                keep = len(encode(form.marker(objective))) if first else 0
                body = body[:keep] + body[len(body) - (room - keep) :]
            prompt = head + body + tail
            for text in wanted:
                target = encode(text)
                if not target or not prompt:
                    drop("empty prompt" if target else "empty target")
                    continue
                target_cut = len(target) + 1 > longest[1]
                target = target[: longest[1]] if target_cut else [*target, special.eos]
                if kind == "decoder":
                    ids, first, encoder = prompt + target[:-1], len(prompt) - 1, None
                else:
                    assert special.decoder_start is not None
                    ids, first, encoder = [special.decoder_start, *target[:-1]], 0, prompt
                edges = list(range(first, first + len(target)))
                found.append(
                    EncodedSequence(
                        example.id, objective, ids, edges, target, [1.0] * len(target), encoder
                    )
                )
                tally["sequences"] += 1
                tally["input_tokens"] += len(ids) + len(encoder or ())
                tally["target_tokens"] += len(target)
                tally["prompts_truncated"] += cut
                tally["targets_truncated"] += target_cut
    return found, counts


def text(chance: random.Random, most: int) -> str:
    words = " ".join(chance.choice(WORDS) for _ in range(chance.randint(0, most)))
    return chance.choice(["", *SPACES]) + words + chance.choice(["", *SPACES])


def example(chance: random.Random, index: int) -> Example:
    def rationale(sample: int) -> Rationale:
        return Rationale(
            teacher=chance.choice(["palm", "flan", "other"]), sample=sample,
            text=text(chance, 30) or "x", answer=chance.choice([None, "19", "7"]), parsed=True,
            prompt_hash="-",
        )  # fmt: skip

    return Example(
        id=f"q{index}", task="t", split="train", question=text(chance, 40) or "?",
        answer=chance.choice([None, " 19 ", "7", "-"]),
        rationales=[rationale(sample) for sample in chance.sample(range(9), chance.randint(0, 4))],
    )  # fmt: skip


def conclude(_: Example, answer: str) -> str:
    return f"The answer is {answer}."


CASES = [
    (name, kind, position)
    for name in ("pythia", "t5", "mistral03")
    for kind in ("decoder", "encoder-decoder")
    for position in ("before", "after")
]


@pytest.mark.parametrize(("name", "kind", "position"), CASES)
def test_rows_are_those_of_the_reference(
    tokenizer_file: Callable[[str], Path], name: str, kind: Any, position: Any, tmp_path: Path
) -> None:
    tokenizer = load(tokenizer_file(name))
    for seed in range(4):
        chance = random.Random(f"{name} {kind} {position} {seed}")
        examples = [example(chance, index) for index in range(30)]
        form = PromptFormat(marker_position=position, conclusion=chance.random() < 0.5)
        special = SpecialIds(eos=1, pad=0, bos=chance.choice([None, 5]), decoder_start=3)
        longest = chance.choice([(512, 256), (20, 6), (15, 1)])
        expected, counts = reference(examples, tokenizer, form, special, kind, longest, conclude)
        rows, found = encode_examples(
            examples, tokenizer, form, OBJECTIVES, special, input_text=lambda e: e.question,
            kind=kind, conclusion=conclude,
            max_prompt_tokens=longest[0], max_target_tokens=longest[1],
        )  # fmt: skip
        assert list(rows) == expected
        assert found.to_dict() == counts
        assert len(rows) == len(expected)
        assert rows[-1] == expected[-1]
        assert rows[1:3] == expected[1:3]
        rows.write(tmp_path / "flat.parquet", {"a": 1})
        write_sequences(tmp_path / "list.parquet", expected, {"a": 1})
        assert read_sequences(tmp_path / "flat.parquet") == expected
        assert (tmp_path / "flat.parquet").read_bytes() == (tmp_path / "list.parquet").read_bytes()
        # A student is asked as it was taught.
        prompts, _ = encode_prompts(
            [e.question for e in examples], "label", form.resolve(OBJECTIVES), tokenizer, special,
            kind=kind, max_prompt_tokens=longest[0],
        )  # fmt: skip
        for row in rows:
            if row.objective == "label":
                prompt = prompts[int(row.example_id[1:])]
                asked = row.encoder_ids or row.input_ids[: row.edge_src[0] + 1]
                assert asked == prompt


@functools.cache
def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(path)


@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet"])
def test_rows_of_a_file_are_those_of_its_texts(
    tokenizer_file: Callable[[str], Path], tmp_path: Path, kind: Any, suffix: str
) -> None:
    tokenizer = load(tokenizer_file("pythia"))
    chance = random.Random(suffix)
    table = [
        {
            "name": f"q{index}",
            "ask": text(chance, 40),
            "palm": chance.choice([None, text(chance, 20)]),
            "gold": chance.choice([None, "7", ""]),
        }
        for index in range(300)
    ]
    path = tmp_path / f"rows.{suffix}"
    lines = "\n".join(json.dumps(row, ensure_ascii=chance.random() < 0.5) for row in table)
    if suffix == "parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.Table.from_pylist(table), path, row_group_size=70)
    elif suffix == "jsonl":
        path.write_text(lines + "\n", "utf-8")
    else:
        path.write_bytes(gzip.compress(lines.encode()))
    special = SpecialIds(eos=1, pad=0, bos=5, decoder_start=3)
    examples = [
        Example(
            id=row["name"], task="t", split="train", question="-", answer=row["gold"],
            rationales=[] if row["palm"] is None else [
                Rationale(teacher="palm", sample=0, text=row["palm"], parsed=True, prompt_hash="-")
            ],
        )
        for row in table
    ]  # fmt: skip
    asked = {row["name"]: row["ask"] for row in table}
    options: Any = dict(kind=kind, max_prompt_tokens=30, max_target_tokens=9)
    expected, counts = encode_examples(
        examples, tokenizer, PromptFormat(), ("label", "rationale:palm"), special,
        input_text=lambda e: asked[e.id], **options,
    )  # fmt: skip
    columns = {"label": "gold", "rationale:palm": "palm"}
    rows, found = encode_training_file(
        path, tokenizer, PromptFormat(), columns, special, question="ask", id="name", **options
    )
    assert list(rows) == list(expected)
    assert found.to_dict() == counts.to_dict()
    numbered, _ = encode_training_file(
        path, tokenizer, PromptFormat(), columns, special, question="ask", **options
    )
    assert [row.example_id for row in numbered] == [row.example_id[1:] for row in expected]


def test_python_and_the_core_strip_alike(tokenizer_file: Callable[[str], Path]) -> None:
    """Every character before and behind a prompt's question and a target."""
    tokenizer = load(tokenizer_file("pythia"))
    characters = [chr(c) for c in range(0x3100) if not 0xD800 <= c < 0xE000]
    edges = [c + "x" + c for c in characters]
    special = SpecialIds(eos=1, pad=0)
    prompts, _ = encode_prompts(
        edges, "label", PromptFormat(), tokenizer, special, kind="decoder", max_prompt_tokens=64
    )
    expected = tokenizer.encode_batch([f"predict: {edge.strip()}\n" for edge in edges])
    assert prompts == [expected[i].tolist() for i in range(len(edges))]
