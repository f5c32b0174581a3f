"""Published splits, teacher accuracies and parses, on the real rows."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from collegium.tasks import open_task


def rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("folder", "name", "counts"),
    [
        ("svamp", "svamp", (720, 80, 200)),
        ("esnli", "esnli", (8857, 985, 9824)),
        ("tinyllm_obqa", "obqa", (4957, 500, 500)),
    ],
)
def test_rows_and_splits(
    shared: Path, folder: str, name: str, counts: tuple[int, int, int]
) -> None:
    task = open_task(None, shared / "data" / folder)
    splits = task.load()
    assert task.name == name
    assert tuple(len(splits[s]) for s in ("train", "validation", "test")) == counts
    assert all(e.answer for examples in splits.values() for e in examples)
    ids = {e.id for examples in splits.values() for e in examples}
    assert len(ids) == sum(counts)


def test_the_carved_split_is_the_published_one(shared: Path) -> None:
    import numpy as np

    source = rows(shared / "data" / "svamp" / "train.jsonl.gz")
    order = np.random.default_rng(0).permutation(800)
    splits = open_task("svamp", shared / "data" / "svamp").load()
    assert [e.id for e in splits["validation"]] == [source[i]["id"] for i in order[:80]]
    assert [e.id for e in splits["train"]] == [source[i]["id"] for i in order[80:]]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("svamp", {"train": (0.7325, 800), "test": (0.7400, 200)}),
        ("esnli", {"train": (0.7317, 9842), "test": (0.7299, 9824)}),
    ],
)
def test_teacher_accuracy(shared: Path, name: str, published: dict[str, tuple[float, int]]) -> None:
    task = open_task(name, shared / "data" / name)
    examples = {e.id: e for split in task.load().values() for e in split}
    asked, right = Counter[str](), Counter[str]()
    for found in task.recordings():
        if found.teacher == "palm540b":
            split = "test" if examples[found.id].split == "test" else "train"
            asked[split] += 1
            right[split] += task.check(found.answer, examples[found.id])
    for split, (accuracy, count) in published.items():
        assert asked[split] == count
        assert round(right[split] / count, 4) == accuracy


@pytest.mark.parametrize(
    ("name", "split"),
    [("svamp", "train"), ("svamp", "test"), ("esnli", "valid"), ("esnli", "test")],
)
def test_raw_outputs_parse_as_stored(shared: Path, name: str, split: str) -> None:
    """No deviations: every one of the 4 x 200 raw outputs gives what is stored.

    The stored files write one space where nothing was found; here that is an empty rationale and
    no answer.
    """
    folder = shared / "data" / name
    task = open_task(name, folder)
    stored = rows(folder / f"{split}.jsonl.gz")
    raw = rows(folder / f"raw_palm_sample_{split}.jsonl.gz")
    assert len(raw) == 200
    for sample in raw:
        expected = stored[sample["i"]]["teachers"]["palm540b"]
        parsed = task.parse(sample["raw"])
        assert parsed.rationale == expected["rationale"].strip(), sample["i"]
        assert (parsed.answer or "") == expected["label"].strip(), sample["i"]
        assert parsed.parsed == expected["parsed"], sample["i"]


def test_stored_outputs_that_were_not_parsed(shared: Path) -> None:
    """13 + 2 equations and 4 labels are missing; one stored label is no label but a cut text."""
    counts = {}
    for name in ("svamp", "esnli"):
        found = [
            r
            for r in open_task(name, shared / "data" / name).recordings()
            if r.teacher == "palm540b"
        ]
        counts[name] = sum(not r.parsed for r in found)
        assert all(r.parsed == (r.answer is not None) for r in found)
    assert counts == {"svamp": 15, "esnli": 4 + 1}
    cut = [
        r["id"]
        for r in rows(shared / "data" / "esnli" / "test.jsonl.gz")
        if "\n" in r["teachers"]["palm540b"]["label"]
    ]
    assert len(cut) == 1


def test_tinyllm_recordings(shared: Path) -> None:
    task = open_task("obqa", shared / "data" / "tinyllm_obqa")
    examples = {e.id: e for split in task.load().values() for e in split}
    by_teacher: dict[str, list] = {}
    for found in task.recordings():
        by_teacher.setdefault(found.teacher, []).append(found)
    assert {t: len(r) for t, r in by_teacher.items()} == {
        "flan-t5-xl": 5957,
        "llama2-7b-chat": 5957,
    }
    assert all(map(task.saw_gold, by_teacher))
    assert all(task.check(r.answer, examples[r.id]) for r in by_teacher["flan-t5-xl"])
    assert not any(r.parsed or r.answer for r in by_teacher["llama2-7b-chat"])
    unfinished = sum(not r.text.endswith((".", "!", "?")) for r in by_teacher["llama2-7b-chat"])
    assert unfinished / 5957 > 0.6


def test_human_explanations_are_several_and_saw_gold(shared: Path) -> None:
    task = open_task("esnli", shared / "data" / "esnli")
    human = Counter(r.id for r in task.recordings() if r.teacher == "human")
    assert len(human) == 19_666
    assert set(human.values()) <= {2, 3}
    assert task.saw_gold("human")
    assert not task.saw_gold("palm540b")


def test_inputs_as_published(shared: Path) -> None:
    data = shared / "data"
    svamp = open_task("svamp", data / "svamp")
    first = next(e for e in svamp.load()["train"] if e.id == "svamp-train-1")
    assert svamp.input_text(first).startswith("Faye was placing her pencils")
    assert svamp.input_text(first).endswith("\nHow many crayons does she have?")
    assert first.answer == "( 7.0 * 30.0 )"
    obqa = open_task("obqa", data / "tinyllm_obqa")
    assert obqa.input_text(obqa.load()["train"][0]) == (
        "The sun is responsible for\nAnswer Choices:\n(a) puppies learning new tricks\n"
        "(b) children growing up and getting old\n(c) flowers wilting in a vase\n"
        "(d) plants sprouting, blooming and wilting"
    )
    esnli = open_task("esnli", data / "esnli")
    used = esnli.load()
    pair = next(e for e in [*used["train"], *used["validation"]] if e.id == "esnli-valid-1")
    assert esnli.input_text(pair) == (
        "premise: Two women are embracing while holding to go packages. "
        "hypothesis: Two woman are holding packages."
    )


def test_demonstrations_are_not_in_the_data(shared: Path) -> None:
    for folder in ("svamp", "esnli", "tinyllm_obqa"):
        task = open_task(None, shared / "data" / folder)
        known = {(e.context, e.question) for split in task.load().values() for e in split}
        assert 3 <= len(task.demonstrations()) <= 4
        assert not known & {(d.context, d.question) for d in task.demonstrations()}
