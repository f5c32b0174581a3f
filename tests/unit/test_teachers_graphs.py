"""Thought graphs from teachers: programmatic ones, and text teachers with scripted answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from collegium.errors import RecipeError
from collegium.example import Example
from collegium.graphs import BELUGA, Policy, ThoughtGraph, validate
from collegium.pipeline.annotate import annotate, graph_counts
from collegium.pipeline.progress import Silent
from collegium.tasks import open_task
from collegium.teachers import build_teacher, read_config
from collegium.teachers.graphs import Completion, ask_for_graphs, judge

STORY = "Max has 6 eggs . gives 2 . buys 3 . how many eggs ?"
QUESTION = Example(id="q1", task="wordproblems", split="train", question=STORY, answer="7")

STAGES = {
    "strategies": "@strategy t1 < p\nGo through the story.\n",
    "steps": "@step s1 < t1\n6 - 2 = 4\n@step s2 < s1\n4 + 3 = 7\n@answer a1 < s2\nHe has 7 eggs.\n"
    "@step s3 < t1\n6 + 2 = 8\n@answer a2 < s3\n8\n",
    "mistakes": "@misconception m1 < t1\n6 + 2 = 8\n@error_analysis e1 < m1\nGiving takes away.\n",
    "evaluation": "@evaluation v1 < a1\n7 - 3 + 2 = 6, as told. And then",
}


def scripted(answers: dict[str, str], asked: list[str]):
    def ask(jobs: Sequence, texts: Sequence[str], stage: str) -> list[Completion]:
        asked.extend(texts)
        cut = stage == "evaluation"
        return [Completion(answers[stage], not cut, 10, 5) for _ in jobs]

    return ask


def test_stages_build_one_graph_and_count_repairs() -> None:
    task = open_task("wordproblems")
    asked: list[str] = []
    (entry,) = ask_for_graphs(
        [(QUESTION, 0)], scripted(STAGES, asked), "staged", task, "t", policy=Policy()
    )
    assert len(asked) == 4 and "@strategy t1 < p\nGo through" in asked[1].split("Notes so far")[-1]
    assert (entry.answer, entry.parsed) == ("7", True)
    assert entry.text == "Go through the story. 6 - 2 = 4 4 + 3 = 7"
    assert (entry.prompt_tokens, entry.completion_tokens) == (40, 20)
    graph = ThoughtGraph.from_json(entry.graph or "")
    assert validate(graph) == [] and graph.answer is not None and graph.answer.verified
    assert graph.node("a1").text == "answer 7" and graph.node("a1").correct
    assert "a2" not in {n.id for n in graph.nodes}, "the wrong answer's path is gone"
    assert graph.teacher is not None
    assert graph.teacher.repairs == {"E07": 1, "P08": 1} and graph.teacher.finish == "length"
    assert graph_counts([entry], 2) == {"written": 1, "rejected": 1, "E07": 1, "P08": 1}


def test_what_cannot_be_used_is_kept_as_text() -> None:
    task = open_task("wordproblems")
    nothing = dict.fromkeys(STAGES, "I do not know.")
    (entry,) = ask_for_graphs(
        [(QUESTION, 0)], scripted(nothing, []), "staged", task, "t", policy=Policy()
    )
    assert entry.graph is None and not entry.parsed and entry.text.startswith("I do not know.")
    (entry,) = ask_for_graphs(
        [(QUESTION, 0)], scripted(STAGES, []), "staged", task, "t", policy=BELUGA
    )
    assert entry.graph is None  # one way only, no monitor


def test_answers_are_judged_by_the_task(tmp_path: Path) -> None:
    agrees = judge(open_task("wordproblems"), QUESTION)
    assert agrees("answer 7") and agrees("7") and agrees("He has 7 eggs.") and not agrees("8")
    rows = [{"id": "1", "input": "how many?", "label": "( 8 - 5 )", "teachers": {}}]
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(rows[0]))
    svamp = open_task("svamp", tmp_path)
    asked = Example(id="1", task="svamp", split="train", question="?", answer="( 8 - 5 )")
    right = judge(svamp, asked)
    assert right("The answer is (8 - 5).") and right("3 pens") and not right("4")
    assert judge(svamp, asked.model_copy(update={"answer": None}))("3") is None


def test_solvers_write_graphs(tmp_path: Path) -> None:
    task = open_task("wordproblems", options={"train": 20, "validation": 2, "test": 2})
    section = {"kind": "programmatic", "graph": True, "error_rate": 0.3, "style": "narration"}
    teacher = build_teacher("t", read_config("t", section), task)
    rows = list(task.load()["train"])
    carried = 0
    for (entry,) in teacher.annotate(rows):
        assert (entry.graph is None) == (entry.first_error is not None)
        if entry.graph is not None:
            assert validate(ThoughtGraph.from_json(entry.graph), BELUGA) == []
            carried += 1
    assert 0 < carried < 20
    assert sum(teacher.graphs_due(entries) for entries in teacher.annotate(rows)) == carried
    config = read_config("f", {"kind": "formula"})
    with pytest.raises(RecipeError, match="answers that are equations"):
        build_teacher("f", config, task)


def test_a_local_model_is_asked_in_stages(tmp_path: Path, save_tiny_model) -> None:
    """A random model writes nothing of use: every row is there, none has a graph."""
    task = open_task("wordproblems", options={"train": 2, "validation": 2, "test": 2})
    model = save_tiny_model(tmp_path / "model")
    section = {"kind": "local", "checkpoint": str(model), "graph": "tagged", "max_new_tokens": 8}
    config = read_config("t", section)
    teacher = build_teacher("t", config, task, device="cpu")
    rows = list(task.load()["train"])
    answers = teacher.annotate(rows)
    assert [len(entries) for entries in answers] == [1, 1]
    assert all(e.graph is None and not e.parsed for (e,) in answers)
    summary = annotate(
        task, {"t": teacher}, tmp_path, tmp_path / "kept",
        limits={"train": None, "validation": None}, gold_visible=True, progress=Silent(),
    )  # fmt: skip
    assert summary["graphs"] == {"t": {"rejected": 4}}  # training and validation questions
    assert summary["note"].endswith("; t: 0 graphs, 4 rejected")
    plain = build_teacher("t", read_config("t", {**section, "graph": None}), task, device="cpu")
    assert plain.fingerprint() != teacher.fingerprint()
