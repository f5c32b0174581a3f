"""Stage `clean`: the label of each question decided, bad and repeated rationales taken out.

Nothing is dropped in silence: every rationale that goes is counted by teacher and reason, and
written to `removed.jsonl` with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collegium.dedup import Reason, deduplicate
from collegium.errors import RecipeError
from collegium.example import Example, Rationale
from collegium.example_io import read_parquet, write_parquet
from collegium.pipeline.labels import with_labels
from collegium.recipe import CleanSection
from collegium.tasks.base import Task

VERSION = 1
DEDUP_REASONS = {
    Reason.EXACT: "exact_duplicate",
    Reason.NEAR: "near_duplicate",
    Reason.DIVERSE: "beyond_diverse",
}


def clean(
    source: Path,
    work: Path,
    task: Task,
    section: CleanSection,
    *,
    label_source: str,
    teachers: Sequence[str],
) -> dict[str, Any]:
    """Clean the training and validation examples of an `annotate` stage.

    Returns:
        For each split: questions kept, questions without a label, and for each teacher how many
        rationales came, how many were kept and how many went for which reason.
    """
    summary: dict[str, Any] = {"label_source": label_source, "splits": {}}
    with (work / "removed.jsonl").open("w", encoding="utf-8") as removed:
        for split in ("train", "validation"):
            examples = read_parquet(source / f"{split}.parquet")
            if label_source != "gold":
                examples = [e.model_copy(update={"answer": None}) for e in examples]
            labelled = with_labels(examples, task, label_source, teachers)
            kept, gone = clean_rationales(labelled, task, section, teachers)
            for example_id, rationale, reason in gone:
                row = {
                    "id": example_id,
                    "reason": reason,
                    **rationale.model_dump(exclude_none=True),
                }
                removed.write(json.dumps(row, ensure_ascii=False) + "\n")
            write_parquet(work / f"{split}.parquet", kept)
            summary["splits"][split] = {
                "questions": len(kept),
                "unlabelled": len(examples) - len(labelled),
                "teachers": _counts(labelled, gone, teachers),
            }
    train = summary["splits"]["train"]
    if not train["questions"]:
        raise RecipeError(
            f"no training question has a label from {label_source!r}: all {train['unlabelled']} "
            "were left out"
        )
    went = sum(sum(t["removed"].values()) for t in train["teachers"].values())
    came = sum(t["rationales"] for t in train["teachers"].values())
    summary["note"] = f"{came - went} of {came} rationales kept"
    return summary


def clean_rationales(
    examples: Sequence[Example], task: Task, section: CleanSection, teachers: Sequence[str]
) -> tuple[list[Example], list[tuple[str, Rationale, str]]]:
    """Return the examples with the rationales that stay, and (example id, rationale, reason)."""
    gone: list[tuple[str, Rationale, str]] = []
    kept: list[list[Rationale]] = []
    for example in examples:
        stay = []
        for rationale in example.rationales:
            reason = fault(example, rationale, task, verify=section.verify)
            if reason is None:
                stay.append(rationale)
            else:
                gone.append((example.id, rationale, reason))
        kept.append(stay)
    if section.deduplicate:
        kept = _deduplicate(examples, kept, gone, section, teachers)
    cleaned = [e.model_copy(update={"rationales": r}) for e, r in zip(examples, kept, strict=True)]
    return cleaned, gone


def fault(example: Example, rationale: Rationale, task: Task, *, verify: bool) -> str | None:
    """Return why a rationale is unfit, or None.

    A teacher-forced rationale is not held against the answer: its teacher was given it.
    """
    if not rationale.text.strip():
        return "empty"
    if rationale.gold_in_prompt:
        return None
    if not rationale.parsed:
        return "unparsed"
    if verify and not task.same_answer(rationale.answer, example.answer):
        return "wrong_answer"
    return None


def _deduplicate(
    examples: Sequence[Example],
    kept: list[list[Rationale]],
    gone: list[tuple[str, Rationale, str]],
    section: CleanSection,
    teachers: Sequence[str],
) -> list[list[Rationale]]:
    flat = [(i, r) for i, rationales in enumerate(kept) for r in rationales]
    rank = {teacher: index for index, teacher in enumerate(teachers)}
    result = deduplicate(
        [r.text for _, r in flat],
        [examples[i].id for i, _ in flat],
        [r.answer if r.answer is not None else examples[i].answer for i, r in flat],
        ids=[f"{examples[i].id}\0{r.teacher}\0{r.sample:06d}" for i, r in flat],
        verified=[r.parsed and not r.gold_in_prompt for _, r in flat],
        quality=[r.score if r.score is not None else 0.0 for _, r in flat],
        teacher_rank=[rank.get(r.teacher, len(rank)) for _, r in flat],
        threshold=section.threshold,
        diverse=section.diverse,
    )
    out: list[list[Rationale]] = [[] for _ in kept]
    for (i, rationale), keep, reason in zip(flat, result.keep, result.reason, strict=True):
        if keep:
            out[i].append(rationale)
        else:
            gone.append((examples[i].id, rationale, DEDUP_REASONS[Reason(int(reason))]))
    return out


def _counts(
    examples: Sequence[Example],
    gone: Sequence[tuple[str, Rationale, str]],
    teachers: Sequence[str],
) -> dict[str, Any]:
    came = Counter(r.teacher for e in examples for r in e.rationales)
    reasons = {teacher: Counter[str]() for teacher in teachers}
    for _, rationale, reason in gone:
        reasons[rationale.teacher][reason] += 1
    return {
        t: {"rationales": came[t], "removed": dict(sorted(reasons[t].items()))} for t in teachers
    }
