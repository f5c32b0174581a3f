"""Where the student's labels come from: gold, one teacher, or the teachers' vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collegium.errors import RecipeError
from collegium.example import Example
from collegium.registry import nearest
from collegium.tasks.base import Task


def check_label_source(label_source: str, gold_in_prompt: Mapping[str, bool]) -> None:
    """Refuse a label source that does not exist or whose answers are no estimate of the teacher.

    Args:
        label_source: `gold`, `vote` or `teacher:<name>`.
        gold_in_prompt: annotating teacher to whether it had the gold answer in its prompt.

    Raises:
        RecipeError: unknown source or teacher, or a teacher that was shown the gold answers.
    """
    kind, _, name = label_source.partition(":")
    if label_source == "gold":
        return
    known = ["gold", "vote", *(f"teacher:{t}" for t in gold_in_prompt)]
    if label_source == "vote":
        forced = [t for t, seen in gold_in_prompt.items() if seen]
        if len(forced) == len(gold_in_prompt):
            raise RecipeError(
                "train.label_source: vote needs a teacher that answered by itself; "
                f"{', '.join(forced) or 'no teacher'} saw the gold answer"
            )
    elif kind != "teacher" or name not in gold_in_prompt:
        raise RecipeError(
            f"train.label_source: unknown {label_source!r}.{nearest(label_source, known)} "
            f"Known: {', '.join(known)}."
        )
    elif gold_in_prompt[name]:
        raise RecipeError(
            f"train.label_source: teacher {name!r} had the gold answers in its prompt, so its "
            "answers are no estimate of the teacher but gold labels; use another teacher or gold"
        )


def with_labels(
    examples: Sequence[Example], task: Task, label_source: str, teachers: Sequence[str]
) -> list[Example]:
    """Return the examples that have a label from the source, with it as their `answer`."""
    if label_source == "gold":
        return [e for e in examples if e.answer is not None]
    voters = list(teachers) if label_source == "vote" else [label_source.partition(":")[2]]
    labelled = []
    for example in examples:
        label = vote(example, task, voters)
        if label is not None:
            labelled.append(example.model_copy(update={"answer": label}))
    return labelled


def vote(example: Example, task: Task, voters: Sequence[str]) -> str | None:
    """Return the answer that most of the voters' parsed rationales give.

    Answers that mean the same count together; a tie goes to the answer given first, in the
    order of the teachers. Teacher-forced rationales have no vote.
    """
    ballots: list[tuple[str, int]] = []
    order = {teacher: rank for rank, teacher in enumerate(voters)}
    for rationale in sorted(
        (r for r in example.rationales if r.teacher in order),
        key=lambda r: (order[r.teacher], r.sample),
    ):
        if rationale.answer is None or not rationale.parsed or rationale.gold_in_prompt:
            continue
        for index, (answer, count) in enumerate(ballots):
            if task.same_answer(answer, rationale.answer):
                ballots[index] = (answer, count + 1)
                break
        else:
            ballots.append((rationale.answer, 1))
    return max(ballots, key=lambda ballot: ballot[1])[0] if ballots else None
