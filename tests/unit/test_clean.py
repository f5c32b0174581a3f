"""The stage `clean` and `collegium clean` on files."""

from __future__ import annotations

import json
import os

import pytest
from typer.testing import CliRunner

from collegium.cli.main import app
from collegium.errors import ArgumentError, DataError, RecipeError
from collegium.example import Example, Rationale
from collegium.example_io import read_jsonl, write_jsonl
from collegium.pipeline.clean import clean_split
from collegium.pipeline.clean_files import clean_files
from collegium.pipeline.counts import overlaps, table
from collegium.recipe import CleanSection
from collegium.tasks import TASKS

ALL = CleanSection(complete_sentences=True, drop_loops=True, drop_other_options=True)
CHOICES = ["fog", "rain", "drought", "snow"]
WHY = "High pressure keeps the air from rising, so no water can condense and no rain falls."


def rationale(teacher, text, answer="drought", sample=0, **more):
    values = {"parsed": answer is not None, "prompt_hash": "0", **more}
    return Rationale(teacher=teacher, sample=sample, text=text, answer=answer, **values)


def example(*rationales, id="q1", answer="drought", split="train", question="What will result?"):
    return Example(
        id=id,
        task="obqa",
        split=split,
        question=question,
        choices=CHOICES,
        answer=answer,
        rationales=list(rationales),
    )


def reasons(gone):
    return [(r.rationale.teacher, r.rationale.sample, r.reason) for r in gone]


def test_everything_that_goes_is_counted():
    rows = [
        example(
            rationale("a", WHY),
            rationale("a", WHY.upper(), sample=1),
            rationale("a", f"{WHY} It is dry then", sample=2),
            rationale("b", "It is wet.", answer="rain"),
            rationale("b", "It is", answer=None, sample=1),
            rationale("b", "dry air stays dry " * 5, sample=2),
            rationale("b", "No rain. So the answer is snow.", sample=3),
            rationale("b", " ", sample=4),
        ),
        example(rationale("a", "Nobody knows."), id="q2", answer=None),
    ]
    kept, gone, counts = clean_split(rows, TASKS["obqa"](None), ALL, "gold", ["a", "b"])
    assert [r.text for r in kept[0].rationales] == [WHY]
    assert sorted(reasons(gone)) == [
        ("a", 0, "no_label"),
        ("a", 1, "exact_duplicate"),
        ("a", 2, "exact_duplicate"),
        ("b", 0, "wrong_answer"),
        ("b", 1, "unparsed"),
        ("b", 2, "loop"),
        ("b", 3, "other_option"),
        ("b", 4, "empty"),
    ]
    duplicate = next(r for r in gone if r.reason == "exact_duplicate")
    assert duplicate.kept_by == {"teacher": "a", "sample": 0, "similarity": 1.0}
    assert counts["unlabelled"] == 1
    for teacher, came in (("a", 4), ("b", 5)):
        counted = counts["teachers"][teacher]
        stay = sum(r.teacher == teacher for e in kept for r in e.rationales)
        assert counted["rationales"] == came == stay + sum(counted["removed"].values())
    assert counts["teachers"]["a"]["cut"] == 1


def test_texts_are_left_alone_by_default():
    rows = [example(rationale("a", "Dry. So the answer is snow. And"), rationale("b", "x y " * 9))]
    kept, gone, _ = clean_split(rows, TASKS["obqa"](None), CleanSection(), "gold", ["a", "b"])
    assert kept == rows and not gone


def test_the_agreement_of_teachers_is_a_label():
    rows = [
        example(
            rationale("a", "Dry one."),
            rationale("b", "Dry two."),
            rationale("c", "Wet.", answer="rain"),
            answer=None,
        )
    ]
    kept, gone, _ = clean_split(rows, TASKS["obqa"](None), ALL, "vote", ["a", "b", "c"])
    assert kept[0].answer == "drought"
    assert reasons(gone) == [("c", 0, "wrong_answer")]


def test_what_a_teacher_forced_text_argues_for_counts():
    forced = {"gold_in_prompt": True, "parsed": False}
    rows = [
        example(
            rationale("a", "So the answer is (b).", answer=None, **forced),
            rationale("b", "So the answer is (c).", answer=None, **forced),
        )
    ]
    _, gone, _ = clean_split(rows, TASKS["obqa"](None), ALL, "gold", ["a", "b"])
    assert reasons(gone) == [("a", 0, "other_option")]


def test_overlap_of_splits():
    splits = {
        "train": [
            example(id="1", question="Where do the polar bears live in winter?"),
            example(id="2", question="Where do the polar bears live in the winter months?"),
            example(id="3", question="What do plants need to grow well?"),
        ],
        "test": [example(id="4", question="where do the polar bears live in winter")],
        "validation": [],
    }
    (found,) = overlaps(splits, 0.5)
    assert (found["split"], found["in"], found["questions"]) == ("train", "test", 3)
    assert (found["same"], found["near"]) == (1, 1)
    assert found["examples"][0] == {"id": "1", "other": "4", "similarity": 1.0}


@pytest.fixture
def source(tmp_path):
    rows = [
        example(rationale("a", WHY), rationale("b", WHY, gold_in_prompt=True)),
        example(
            rationale("a", "Dry air. So the answer is (c).", answer=None, parsed=False),
            rationale("b", "Wet.", answer="rain"),
            id="q2",
            question="What comes of high pressure?",
        ),
        example(id="q3", split="test", question="What comes of high pressure?"),
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    return tmp_path / "rows.jsonl"


def test_a_file_is_cleaned(source, tmp_path):
    out = tmp_path / "out"
    summary = clean_files(source, out, ALL, keep_removed=True)
    assert summary == json.loads((out / "cleaning.json").read_text("utf-8"))
    assert summary["splits"]["train"]["teachers"] == {
        "a": {"rationales": 2, "cut": 0, "removed": {}},
        "b": {"rationales": 2, "cut": 0, "removed": {"exact_duplicate": 1, "wrong_answer": 1}},
    }
    # The raw completion was parsed.
    rows = read_jsonl(out / "train.jsonl")[0]
    assert [(r.text, r.answer) for r in rows[1].rationales] == [("Dry air.", "drought")]
    lines = (out / "removed.jsonl").read_text("utf-8").splitlines()
    removed = [json.loads(line) for line in lines]
    assert {(r["id"], r["reason"]) for r in removed} == {
        ("q1", "exact_duplicate"),
        ("q2", "wrong_answer"),
    }
    assert removed[-1]["kept_by"] == {"teacher": "a", "sample": 0, "similarity": 1.0}
    assert summary["overlap"][0]["same"] == 1
    text = table(summary)
    assert "| train | b | 2 | 0 | 0 | 1 | 1 |" in text
    assert "of 2 train questions 1 are in test word for word" in text


def test_the_command(source, tmp_path):
    runner = CliRunner()
    found = runner.invoke(app, ["clean", str(source), "--json", "--memory", "1MiB"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.output)["splits"]["train"]["questions"] == 2
    found = runner.invoke(app, ["clean", str(source), "--out", str(tmp_path / "o")])
    assert "exact duplicate" in found.output
    assert sorted(os.listdir(tmp_path / "o")) == ["cleaning.json", "test.jsonl", "train.jsonl"]


def test_mistakes_are_named(source, tmp_path):
    with pytest.raises(ArgumentError, match="give its folder with --out"):
        clean_files(source, None, ALL, keep_removed=True)
    with pytest.raises(RecipeError, match="unknown 'teacher:c'"):
        clean_files(source, None, ALL, label_source="teacher:c")
    rows = [r.model_copy(update={"rationales": []}) for r in read_jsonl(source)[0]]
    write_jsonl(tmp_path / "none.jsonl", rows)
    with pytest.raises(DataError, match="nothing to clean"):
        clean_files(tmp_path / "none.jsonl", None, ALL)
    write_jsonl(tmp_path / "odd.jsonl", [rows[0].model_copy(update={"task": "odd"})])
    with pytest.raises(RecipeError, match="of task 'odd', which is none of"):
        clean_files(tmp_path / "odd.jsonl", None, ALL)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the folder cannot be made"):
        clean_files(source, tmp_path / "file" / "out", ALL)
    with source.open("a", encoding="utf-8") as file:
        file.write("{}\n")
    with pytest.raises(DataError, match="line 4"):
        clean_files(source, None, ALL)
    assert len(clean_files(source, None, ALL, skip_bad_rows=True)["rows_left_out"]) == 1


def test_earlier_results_stay_when_the_disk_is_full(source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    clean_files(source, out, ALL, keep_removed=True)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        clean_files(source, out, CleanSection())
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_real_recordings(shared):
    folder = shared / "data" / "tinyllm_obqa"
    summary = clean_files(folder, None, ALL)
    counts = summary["splits"]["train"]["teachers"]
    assert set(counts) == {"flan-t5-xl", "llama2-7b-chat"}
    for counted in counts.values():
        assert 0 < sum(counted["removed"].values()) < counted["rationales"]
    assert counts["llama2-7b-chat"]["cut"] > 1000
