"""Stage `clean`: the label of each question decided, bad and repeated rationales taken out.

Nothing is dropped in silence: every rationale that goes is counted by teacher and reason, and
written to `removed.jsonl` with the reason; one that is cut is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from collegium.dedup import Reason, deduplicate
from collegium.errors import RecipeError
from collegium.example import Example, Rationale
from collegium.example_io import read_parquet, write_parquet
from collegium.pipeline import rationale as texts
from collegium.pipeline.counts import Removed, count, overlaps
from collegium.pipeline.labels import with_labels
from collegium.recipe import CleanSection
from collegium.tasks.base import Task
from collegium.tasks.parsing import cut as cut_at

VERSION = 2
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
        rationales came, were cut, and went for which reason; and the overlap of splits.
    """
    summary: dict[str, Any] = {"label_source": label_source, "splits": {}}
    splits = {s: read_parquet(source / f"{s}.parquet") for s in ("train", "validation", "test")}
    with (work / "removed.jsonl").open("w", encoding="utf-8") as removed:
        for split in ("train", "validation"):
            examples = splits[split]
            if label_source != "gold":
                examples = [e.model_copy(update={"answer": None}) for e in examples]
            kept, gone, counts = clean_split(examples, task, section, label_source, teachers)
            removed.writelines(removed_lines(gone))
            write_parquet(work / f"{split}.parquet", kept)
            summary["splits"][split] = counts
    train = summary["splits"]["train"]
    if not train["questions"]:
        raise RecipeError(
            f"no training question has a label from {label_source!r}: all {train['unlabelled']} "
            "were left out"
        )
    summary["overlap"] = overlaps(splits, section.overlap_threshold)
    went = sum(sum(t["removed"].values()) for t in train["teachers"].values())
    came = sum(t["rationales"] for t in train["teachers"].values())
    summary["note"] = f"{came - went} of {came} rationales kept"
    return summary


def clean_split(
    examples: Sequence[Example],
    task: Task,
    section: CleanSection,
    label_source: str,
    teachers: Sequence[str],
) -> tuple[list[Example], list[Removed], dict[str, Any]]:
    """Return the examples that have a label, the rationales that went, and the counts."""
    labelled = with_labels(examples, task, label_source, teachers)
    known = {example.id for example in labelled}
    gone = [
        Removed(e.id, r, "no_label") for e in examples if e.id not in known for r in e.rationales
    ]
    kept, others, cut = clean_rationales(labelled, task, section, teachers)
    gone += others
    counts = {
        "questions": len(kept),
        "unlabelled": len(examples) - len(labelled),
        "teachers": count(examples, gone, cut, teachers),
    }
    return kept, gone, counts


def removed_lines(gone: Iterable[Removed]) -> Iterable[str]:
    """Return one JSON line for each rationale that went."""
    for removed in gone:
        row = {
            "id": removed.id,
            "reason": removed.reason,
            **({"kept_by": removed.kept_by} if removed.kept_by else {}),
            **removed.rationale.model_dump(exclude_none=True),
        }
        yield json.dumps(row, ensure_ascii=False) + "\n"


def clean_rationales(
    examples: Sequence[Example], task: Task, section: CleanSection, teachers: Sequence[str]
) -> tuple[list[Example], list[Removed], list[str]]:
    """Return the examples with the rationales that stay, those that went, teachers of cut ones."""
    gone: list[Removed] = []
    cut: list[str] = []
    kept: list[list[Rationale]] = []
    for example in examples:
        stay = []
        for rationale in example.rationales:
            reason = fault(example, rationale, task, section)
            if reason is not None:
                gone.append(Removed(example.id, rationale, reason))
                continue
            if section.complete_sentences:
                text = texts.complete(_own(rationale.text, task))
                if text != rationale.text.rstrip():
                    cut.append(rationale.teacher)
                    rationale = rationale.model_copy(update={"text": text})
            stay.append(rationale)
        kept.append(stay)
    if section.deduplicate:
        kept = _deduplicate(examples, kept, gone, section, teachers)
    cleaned = [e.model_copy(update={"rationales": r}) for e, r in zip(examples, kept, strict=True)]
    return cleaned, gone, cut


def fault(example: Example, rationale: Rationale, task: Task, section: CleanSection) -> str | None:
    """Return why a rationale is unfit, or None.

    The answer of a teacher-forced rationale is not held against the label: its teacher was given
    it. What its text argues for is.
    """
    if not rationale.text.strip():
        return "empty"
    if not rationale.gold_in_prompt:
        if not rationale.parsed:
            return "unparsed"
        if section.verify and not task.same_answer(rationale.answer, example.answer):
            return "wrong_answer"
    if section.drop_loops and texts.loops(rationale.text):
        return "loop"
    if section.drop_other_options and _argues_for_another(example, rationale, task):
        return "other_option"
    return None


def _own(text: str, task: Task) -> str:
    """Return the text before a next question that the model invented; all of it if it is blank."""
    before = cut_at(text, task.stop_strings)
    return before if before.strip() else text


def _argues_for_another(example: Example, rationale: Rationale, task: Task) -> bool:
    """Tell whether the text concludes with an answer that is not the label."""
    answer = example.answer
    if answer is None or (example.choices is None and texts.first_number(answer) != answer):
        return False
    said = texts.concluded(_own(rationale.text, task), example.choices)
    return said is not None and not task.same_answer(said, answer)


def _deduplicate(
    examples: Sequence[Example],
    kept: list[list[Rationale]],
    gone: list[Removed],
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
        keep=section.keep,
        diverse=section.diverse,
        view=section.view,
        memory=section.memory,
    )
    out: list[list[Rationale]] = [[] for _ in kept]
    for row, (i, rationale) in enumerate(flat):
        if result.keep[row]:
            out[i].append(rationale)
            continue
        by = flat[int(result.kept_by[row])][1]
        reason = DEDUP_REASONS[Reason(int(result.reason[row]))]
        near = {"teacher": by.teacher, "sample": by.sample}
        similarity = round(float(result.similarity[row]), 4)
        gone.append(Removed(examples[i].id, rationale, reason, {**near, "similarity": similarity}))
    return out
