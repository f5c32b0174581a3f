"""What cleaning removed, counted and as a table; how far splits overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from collegium.dedup import nearest
from collegium.example import Example, Rationale


class Removed(NamedTuple):
    """A rationale that went."""

    id: str
    """Of its example."""
    rationale: Rationale
    reason: str
    kept_by: dict[str, Any] | None = None
    """For a duplicate: teacher and sample of the rationale kept in its place, the similarity."""


def count(
    examples: Iterable[Example],
    gone: Iterable[Removed],
    cut: Iterable[str],
    teachers: Sequence[str],
) -> dict[str, Any]:
    """Return for each teacher how many rationales came, were cut, and went for which reason."""
    came = Counter(r.teacher for e in examples for r in e.rationales)
    shortened = Counter(cut)
    reasons: dict[str, Counter[str]] = {teacher: Counter() for teacher in teachers}
    for removed in gone:
        reasons.setdefault(removed.rationale.teacher, Counter())[removed.reason] += 1
    return {
        teacher: {
            "rationales": came[teacher],
            "cut": shortened[teacher],
            "removed": dict(sorted(reasons[teacher].items())),
        }
        for teacher in reasons
    }


def overlaps(splits: Mapping[str, Sequence[Example]], threshold: float) -> list[dict[str, Any]]:
    """Return for each two splits how many questions of the first are in the second.

    `same`: the words of the question are the same, in order; `near`: the similarity of their word
    3-grams reaches the threshold besides. `examples` names a few, most similar first.
    """
    found = []
    for first, second in combinations([name for name in splits if splits[name]], 2):
        mine, theirs = splits[first], splits[second]
        near = nearest(
            [e.question for e in mine], [e.question for e in theirs], threshold=threshold
        )
        hits = [i for i, row in enumerate(near.row.tolist()) if row >= 0]
        hits.sort(key=lambda i: (-float(near.similarity[i]), mine[i].id))
        same = sum(bool(near.same[i]) for i in hits)
        found.append(
            {
                "split": first,
                "in": second,
                "questions": len(mine),
                "same": same,
                "near": len(hits) - same,
                "threshold": threshold,
                "examples": [
                    {
                        "id": mine[i].id,
                        "other": theirs[int(near.row[i])].id,
                        "similarity": round(float(near.similarity[i]), 4),
                    }
                    for i in hits[:20]
                ],
            }
        )
    return found


def table(summary: Mapping[str, Any]) -> str:
    """Return the counts of a cleaning as a Markdown table, and the overlap below it."""
    rows = [
        (split, teacher, counts)
        for split, part in summary["splits"].items()
        for teacher, counts in part["teachers"].items()
    ]
    reasons = sorted({reason for *_, counts in rows for reason in counts["removed"]})
    head = [
        "split",
        "teacher",
        "came",
        "kept",
        "of these cut",
        *(r.replace("_", " ") for r in reasons),
    ]
    lines = [head, ["---"] * len(head)]
    for split, teacher, counts in rows:
        kept = counts["rationales"] - sum(counts["removed"].values())
        numbers = [counts["rationales"], kept, counts["cut"]]
        numbers += [counts["removed"].get(reason, 0) for reason in reasons]
        lines.append([split, teacher, *map(str, numbers)])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    for split, part in summary["splits"].items():
        if part["unlabelled"]:
            text += f"\n\n{split}: {part['unlabelled']} questions without a label left out."
    for overlap in summary["overlap"]:
        if overlap["same"] or overlap["near"]:
            text += (
                f"\n\nOverlap: of {overlap['questions']} {overlap['split']} questions "
                f"{overlap['same']} are in {overlap['in']} word for word, {overlap['near']} more "
                f"nearly (similarity >= {overlap['threshold']:g})."
            )
    return text
