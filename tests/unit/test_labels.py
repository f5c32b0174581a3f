"""Where labels come from, and which rationales are unfit."""

from __future__ import annotations

import pytest

from collegium.errors import RecipeError
from collegium.example import Example, Rationale
from collegium.pipeline.clean import clean_rationales, fault
from collegium.pipeline.labels import check_label_source, vote, with_labels
from collegium.recipe import CleanSection
from collegium.tasks import open_task

TASK = open_task("wordproblems", None, {})


def said(teacher: str, answer: str | None, text: str = "some reasoning here", **more) -> Rationale:
    return Rationale(
        teacher=teacher,
        text=text,
        answer=answer,
        parsed=answer is not None,
        prompt_hash="h",
        **more,
    )


def asked(*rationales: Rationale, answer: str | None = None) -> Example:
    return Example(
        id="e", task="wordproblems", split="train", question="q", answer=answer,
        rationales=list(rationales),
    )  # fmt: skip


def test_the_vote_goes_to_what_most_teachers_say() -> None:
    example = asked(said("a", "3"), said("b", "4"), said("c", "4"))
    assert vote(example, TASK, ["a", "b", "c"]) == "4"


def test_a_tie_goes_to_the_first_teacher() -> None:
    assert vote(asked(said("b", "4"), said("a", "3")), TASK, ["a", "b"]) == "3"


def test_teacher_forced_and_unparsed_answers_have_no_vote() -> None:
    example = asked(said("a", "3", gold_in_prompt=True), said("b", None), said("c", "5"))
    assert vote(example, TASK, ["a", "b", "c"]) == "5"
    assert vote(asked(said("a", "3", gold_in_prompt=True)), TASK, ["a"]) is None


def test_labels_by_source() -> None:
    examples = [asked(said("a", "3"), answer="9"), asked(said("b", "4"))]
    assert [e.answer for e in with_labels(examples, TASK, "gold", ["a", "b"])] == ["9"]
    hidden = [e.model_copy(update={"answer": None}) for e in examples]
    assert [e.answer for e in with_labels(hidden, TASK, "vote", ["a", "b"])] == ["3", "4"]
    assert [e.answer for e in with_labels(hidden, TASK, "teacher:b", ["a", "b"])] == ["4"]


@pytest.mark.parametrize("source", ["gold", "teacher:a", "vote"])
def test_sources_that_are_there(source: str) -> None:
    check_label_source(source, {"a": False, "b": True})


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("teacher:b", "no estimate"),
        ("teacher:c", "teacher:a"),
        ("godl", "'gold'"),
    ],
)
def test_sources_that_are_refused(source: str, part: str) -> None:
    with pytest.raises(RecipeError, match=part):
        check_label_source(source, {"a": False, "b": True})


def test_a_vote_of_teachers_that_saw_the_answers_is_refused() -> None:
    with pytest.raises(RecipeError, match="by itself"):
        check_label_source("vote", {"b": True})


@pytest.mark.parametrize(
    ("rationale", "reason"),
    [
        (said("a", "3"), None),
        (said("a", "4"), "wrong_answer"),
        (said("a", None), "unparsed"),
        (said("a", "3", text="  "), "empty"),
        (said("a", None, gold_in_prompt=True), None),
    ],
)
def test_faults(rationale: Rationale, reason: str | None) -> None:
    assert fault(asked(rationale, answer="3"), rationale, TASK, CleanSection()) == reason


def test_without_verification_wrong_answers_stay() -> None:
    wrong = said("a", "4")
    assert fault(asked(wrong, answer="3"), wrong, TASK, CleanSection(verify=False)) is None


def test_repeated_rationales_go_and_are_accounted_for() -> None:
    text = "start with 5 and add 3 to get 8 in all"
    example = asked(
        said("a", "8", text=text), said("b", "8", text=text.upper()),
        said("b", "8", text="quite another way of thinking about it", sample=1), answer="8",
    )  # fmt: skip
    [kept], gone, _ = clean_rationales([example], TASK, CleanSection(), ["a", "b"])
    assert [(r.teacher, r.sample) for r in kept.rationales] == [("a", 0), ("b", 1)]
    assert [(r.id, r.rationale.teacher) for r in gone] == [("e", "b")]
    assert "duplicate" in gone[0].reason


def test_different_answers_are_never_merged() -> None:
    text = "start with 5 and add 3 to get what we want"
    example = asked(said("a", "8", text=text), said("b", "9", text=text), answer="8")
    [kept], *_ = clean_rationales([example], TASK, CleanSection(verify=False), ["a", "b"])
    assert len(kept.rationales) == 2
