"""Programmatic teachers: how often they are wrong, and in which ways."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from collegium.errors import DataError, RecipeError
from collegium.example import Example
from collegium.tasks import Task, open_task
from collegium.tasks.wordproblems_solve import STYLES, MistakeKind
from collegium.teachers import Teacher, build_teacher, read_config
from collegium.teachers.programmatic import ProgrammaticConfig


@pytest.fixture(scope="module")
def task() -> Task:
    return open_task(options={"train": 3000, "validation": 1, "test": 1})


def made(task: Task, **section: Any) -> Teacher:
    return build_teacher("t", read_config("t", {"kind": "programmatic", **section}), task)


def test_every_style_and_mistake_can_be_chosen() -> None:
    fields = ProgrammaticConfig.model_fields
    assert set(get_args(fields["style"].annotation)) == set(STYLES)
    config = ProgrammaticConfig()
    assert set(config.mistakes) == set(MistakeKind)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("rate", [0.0, 0.03, 0.3, 1.0])
def test_the_error_rate_is_the_rate_of_wrong_answers(task: Task, style: str, rate: float) -> None:
    examples = task.load()["train"]
    answers = made(task, style=style, error_rate=rate).annotate(examples)
    wrong = 0
    for (rationale,), example in zip(answers, examples, strict=True):
        right = task.check(rationale.answer, example)
        wrong += not right
        assert (rationale.first_error is None) == right
        assert rationale.parsed
        text = f"{rationale.text} {task.conclusion(rationale.answer or '')}"
        parsed = task.parse(text)
        assert (parsed.rationale, parsed.answer) == (rationale.text, rationale.answer)
    assert abs(wrong / len(examples) - rate) <= 3 * (rate * (1 - rate) / len(examples)) ** 0.5


def test_styles_and_seeds_err_on_different_questions(task: Task) -> None:
    examples = task.load()["train"][:1000]

    def wrong(**section: Any) -> set[int]:
        answers = made(task, error_rate=0.1, **section).annotate(examples)
        return {i for i, (r,) in enumerate(answers) if r.first_error is not None}

    first = wrong(style="equations")
    assert len(first & wrong(style="narration")) < len(first) / 2
    assert len(first & wrong(style="equations", seed=1)) < len(first) / 2


def test_the_question_alone_decides(task: Task) -> None:
    example = task.load()["train"][0]
    other = example.model_copy(update={"id": "x", "split": "y", "answer": None})
    teacher = made(task, error_rate=1.0)
    assert teacher.annotate([other]) == teacher.annotate([example])


def test_one_kind_of_mistake(task: Task) -> None:
    examples = task.load()["train"][:200]
    teacher = made(task, error_rate=1.0, mistakes=["skipped_step"])
    for (rationale,), example in zip(teacher.annotate(examples), examples, strict=True):
        steps = example.question.count(" . ") - 1
        assert rationale.text.count(";") == steps - (rationale.first_error is not None)


def test_other_tasks_are_refused(tmp_path: Any) -> None:
    with pytest.raises(RecipeError, match=r"teachers\.t: a programmatic teacher solves"):
        made(open_task("svamp", tmp_path))
    for section in ({"style": "latin"}, {"error_rate": 2.0}, {"mistakes": []}):
        with pytest.raises(RecipeError, match=r"teachers\.t: (style|error_rate|mistakes)"):
            made(open_task(), **section)


def test_other_questions_are_refused(task: Task) -> None:
    odd = Example(id="odd", task="wordproblems", split="train", question="What is two?")
    with pytest.raises(DataError, match="question 'odd' is no story that the solver can read"):
        made(task).annotate([odd])
