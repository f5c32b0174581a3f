"""What every kind in `TEACHERS` owes the pipeline; a new kind needs a sample here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collegium.errors import RecipeError
from collegium.tasks import Task, open_task
from collegium.teachers import (
    TEACHERS,
    Teacher,
    TeacherConfig,
    build_teacher,
    default_teachers,
    read_config,
)

Save = Callable[..., Path]


def programmatic(folder: Path, save: Save) -> tuple[Task, dict[str, Any]]:
    return open_task(options={"train": 12, "validation": 3, "test": 3}), {"error_rate": 0.5}


def recorded(folder: Path, save: Save) -> tuple[Task, dict[str, Any]]:
    said = {"palm": {"rationale": "because", "label": "(1 + 1)", "parsed": True}}
    for split in ("train", "test"):
        rows = [
            {"id": f"{split}-{i}", "input": "How many", "label": "( 2 )", "teachers": said}
            for i in range(10)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return open_task("svamp", folder), {"recording": "palm"}


def local(folder: Path, save: Save) -> tuple[Task, dict[str, Any]]:
    model = save(folder / "model")
    options = {"train": 4, "validation": 3, "test": 3}
    return open_task(options=options), {"checkpoint": str(model), "max_new_tokens": 6}


def formula(folder: Path, save: Save) -> tuple[Task, dict[str, Any]]:
    for split in ("train", "test"):
        rows = [
            {"id": f"{split}-{i}", "input": f"{i} of 9", "label": f"( 9 - {i} )", "teachers": {}}
            for i in range(1, 9)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return open_task("svamp", folder), {}


SAMPLES: dict[str, Callable[[Path, Save], tuple[Task, dict[str, Any]]]] = {
    "formula": formula,
    "local": local,
    "programmatic": programmatic,
    "recorded": recorded,
}


@pytest.fixture(params=TEACHERS)
def made(
    request: pytest.FixtureRequest, tmp_path: Path, save_tiny_model: Save
) -> tuple[Task, TeacherConfig, Teacher]:
    task, section = SAMPLES[request.param](tmp_path, save_tiny_model)
    config = read_config("tutor", {"kind": request.param, **section})
    return task, config, build_teacher("tutor", config, task)


def test_answers(made: tuple[Task, TeacherConfig, Teacher]) -> None:
    task, config, teacher = made
    assert isinstance(config, TEACHERS[config.kind][0])
    examples = list(task.load()["train"])
    answers = teacher.annotate(examples)
    assert len(answers) == len(examples)
    for rationales in answers:
        assert [r.sample for r in rationales] == list(range(len(rationales)))
        for rationale in rationales:
            assert rationale.teacher == "tutor"
            assert rationale.gold_in_prompt == config.sees_gold("tutor", task)
            assert len(rationale.prompt_hash) == 32
            assert rationale.parsed == (rationale.answer is not None)
    assert teacher.annotate([]) == []


def test_answers_are_a_pure_function_of_the_question(
    made: tuple[Task, TeacherConfig, Teacher],
) -> None:
    task, config, teacher = made
    examples = list(task.load()["train"])
    answers = teacher.annotate(examples)
    assert teacher.annotate(examples[::-1]) == answers[::-1]
    assert [teacher.annotate([e])[0] for e in examples] == answers
    again = build_teacher("tutor", config, task)
    assert again.annotate(examples[:2]) == answers[:2]
    assert again.fingerprint() == teacher.fingerprint()


def test_fingerprints_are_json(made: tuple[Task, TeacherConfig, Teacher]) -> None:
    fingerprint = made[2].fingerprint()
    assert json.loads(json.dumps(fingerprint)) == fingerprint


def test_files_are_there(made: tuple[Task, TeacherConfig, Teacher]) -> None:
    assert all(path.is_file() for path in made[1].files())


@pytest.mark.parametrize("kind", TEACHERS)
def test_unknown_keys_are_refused(kind: str) -> None:
    with pytest.raises(RecipeError, match=r"teachers\.t: unknown key 'anotate'\. Did you mean"):
        read_config("t", {"kind": kind, "anotate": True})


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown kind of teacher in teachers\.t: 'loca'"):
        read_config("t", {"kind": "loca"})
    with pytest.raises(
        RecipeError, match=r"teachers\.t: give a kind, one of formula, local, programmatic"
    ):
        read_config("t", {})


def test_default_teachers(tmp_path: Path, save_tiny_model: Save) -> None:
    assert default_teachers(open_task()) == {
        "equations": {"kind": "programmatic", "style": "equations", "error_rate": 0.03},
        "narration": {"kind": "programmatic", "style": "narration", "error_rate": 0.03},
    }
    task, _ = recorded(tmp_path, save_tiny_model)
    assert default_teachers(task) == {"palm": {"kind": "recorded"}}
    for name, section in default_teachers(task).items():
        assert build_teacher(name, read_config(name, section), task).annotate(task.load()["test"])


def test_default_teachers_of_real_tasks(shared: Path) -> None:
    names = {
        folder: list(default_teachers(open_task(None, shared / "data" / folder)))
        for folder in ("svamp", "esnli", "tinyllm_obqa")
    }
    assert names == {
        "svamp": ["palm540b"],
        "esnli": ["palm540b", "human"],
        "tinyllm_obqa": ["flan-t5-xl", "llama2-7b-chat"],
    }
