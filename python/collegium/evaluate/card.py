"""The model card of a student: README.md beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from collegium.atomic import atomic_path
from collegium.evaluate.info import StudentInfo
from collegium.evaluate.snippet import loading_snippet
from collegium.objectives.formats import LABEL
from collegium.objectives.prompts import SpecialIds

_KINDS = {
    "decoder": ("text-generation", "decoder-only"),
    "encoder-decoder": ("text2text-generation", "encoder-decoder"),
}


@dataclass(frozen=True)
class Source:
    """Something that the student was made from: a base model, a teacher, a data set."""

    name: str
    role: str
    """E.g. ``base model``, ``teacher (rationales)``, ``teacher (distributions)``, ``questions``."""
    licence: str | None = None
    """As its owner states it; None where it is not known."""
    note: str = ""


@dataclass(frozen=True)
class CardFacts:
    """What a card tells beyond `StudentInfo`.

    `licence` is the student's own, which only its owner can choose; without it the card says that
    none was chosen, whatever the sources' licences are.
    """

    name: str
    example: str
    """A question as the student reads it, without marker."""
    sources: Sequence[Source] = ()
    metrics: Mapping[str, Any] | None = None
    """`Evaluation.metrics`; None where the student has not been measured yet."""
    training: Mapping[str, Any] | None = None
    """Name to value: questions, steps, learning rate, ..."""
    parameters: int | None = None
    licence: str | None = None
    split: str = "test"


def write_card(
    folder: str | Path, info: StudentInfo, facts: CardFacts, special: SpecialIds
) -> Path:
    """Write README.md into a checkpoint directory, atomically, and return the file."""
    path = Path(folder) / "README.md"
    text = render_card(info, facts, special)
    with atomic_path(path) as partial:
        partial.write_text(text, "utf-8")
    return path


def render_card(info: StudentInfo, facts: CardFacts, special: SpecialIds) -> str:
    """Return the card: YAML front matter, and Markdown below it."""
    head = yaml.safe_dump(_front_matter(info, facts), sort_keys=False, allow_unicode=True)
    sections = [
        f"# {facts.name}",
        _summary(info, facts),
        "## Accuracy\n\n" + _accuracy(facts),
        "## Use\n\n" + _use(info, facts, special),
        "## Training\n\n" + _training(info, facts),
        "## Licences\n\n" + _licences(facts),
        "## Limits\n\n" + _limits(info, facts),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(info: StudentInfo, facts: CardFacts) -> dict[str, Any]:
    pipeline, _ = _KINDS[info.kind]
    head: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": pipeline}
    if facts.licence is not None:
        head["license"] = facts.licence
    else:
        # A licence is the owner's to choose: `other` with a name that nobody takes for one.
        head |= {"license": "other", "license_name": "not-chosen"}
    head["tags"] = ["collegium", "knowledge-distillation", "rationales"]
    label = (facts.metrics or {}).get("modes", {}).get(LABEL, {})
    if label.get("accuracy") is not None:
        head["model-index"] = [
            {
                "name": facts.name,
                "results": [
                    {
                        "task": {"type": pipeline},
                        "dataset": {"name": info.task, "type": info.task, "split": facts.split},
                        "metrics": [
                            {"type": "accuracy", "value": round(100 * label["accuracy"], 2)}
                        ],
                    }
                ],
            }
        ]
    return head


def _summary(info: StudentInfo, facts: CardFacts) -> str:
    size = f" with {facts.parameters:,} parameters" if facts.parameters is not None else ""
    ways = ["answers directly"] if info.answers_directly else []
    if info.teachers:
        ways.append("writes rationales in the way of " + ", ".join(info.teachers))
    return (
        f"A {_KINDS[info.kind][1]} language model{size}, distilled with Collegium for the task "
        f"`{info.task}`. It {' and '.join(ways)}."
    )


def _accuracy(facts: CardFacts) -> str:
    if facts.metrics is None:
        return "Not measured yet."
    lines = [
        "| mode | accuracy, % | 95 % interval | questions | answers found, % | tokens an answer |",
        "|---|---|---|---|---|---|",
    ]
    for mode, found in facts.metrics["modes"].items():
        if found["accuracy"] is None:
            accuracy = interval = "not known"
        else:
            accuracy = f"{100 * found['accuracy']:.1f}"
            interval = f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"
        tokens = "" if found["mean_tokens"] is None else f"{found['mean_tokens']:.1f}"
        parsed = "" if found["parsed"] is None else f"{100 * found['parsed']:.1f}"
        lines.append(f"| {mode} | {accuracy} | {interval} | {found['n']} | {parsed} | {tokens} |")
    notes = [
        f"Greedy decoding on the {facts.split} split. The interval is a percentile bootstrap over "
        "the questions; it does not cover the choice of the training seed."
    ]
    chance = facts.metrics.get("chance")
    if chance is not None:
        notes.append(f"Guessing among the choices gives {100 * chance:.1f} %.")
    for mode, found in facts.metrics.get("consistency", {}).items():
        notes.append(
            f"`{mode}` and `label` give the same answer to {100 * found['same']:.1f} % of "
            f"{found['n']} questions."
        )
    return "\n".join(lines) + "\n\n" + " ".join(notes)


def _use(info: StudentInfo, facts: CardFacts, special: SpecialIds) -> str:
    markers = "\n".join(f"| `{name}` | `{info.format.marker(name)}` |" for name in info.objectives)
    turn = ", in a user's turn of the tokenizer's chat template" if info.format.chat else ""
    place = "before" if info.format.marker_position == "before" else "after"
    end = (
        " and ends with a newline"
        if info.format.chat is None and info.format.prompt(LABEL, "x", info.kind).endswith("\n")
        else ""
    )
    objective = info.objectives[0]
    snippet = loading_snippet(info, facts.example, special, objective)
    conclusion = (
        " A rationale ends with its answer." if info.format.conclusion and info.teachers else ""
    )
    return (
        f"The marker of what is wanted stands {place} the question, a space between them; the "
        f"prompt has no other instruction{end}{turn}.{conclusion}\n\n"
        f"| wanted | marker |\n|---|---|\n{markers}\n\n"
        f"With transformers alone:\n\n```python\n{snippet}```\n\n"
        "With Collegium:\n\n```python\nfrom collegium import Student\n\n"
        'student = Student.load(".")\n'
        f"print(student.{'predict' if objective == LABEL else 'explain'}([{facts.example!r}])[0])\n"
        "```"
    )


def _training(info: StudentInfo, facts: CardFacts) -> str:
    rows: dict[str, Any] = {
        "objectives": ", ".join(info.objectives),
        "labels from": info.label_source,
        "prompt tokens, at most": info.max_prompt_tokens,
        "target tokens, at most": info.max_target_tokens,
        **({"chat template, SHA-256": info.format.chat.template} if info.format.chat else {}),
        **(facts.training or {}),
    }
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _licences(facts: CardFacts) -> str:
    chosen = (
        f"This model is offered under `{facts.licence}`."
        if facts.licence is not None
        else "No licence has been chosen for this model. Whoever publishes it chooses one, and "
        "sets `license` above, after checking what it was made from:"
    )
    if not facts.sources:
        return chosen.rstrip(":") + "\n\nIts sources were not recorded."
    lines = ["| source | role | licence | |", "|---|---|---|---|"]
    for s in facts.sources:
        cells = (s.name, s.role, s.licence or "not known", s.note)
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    unknown = [s.name for s in facts.sources if s.licence is None]
    tail = (
        f"\n\nThe licence of {', '.join(unknown)} is not known: find it out before publishing. "
        "Terms of a teacher may cover what it wrote, and so a student trained on it."
        if unknown
        else ""
    )
    return chosen + "\n\n" + "\n".join(lines) + tail


def _limits(info: StudentInfo, facts: CardFacts) -> str:
    points = [
        f"Made for questions like those of `{info.task}`; nothing is known of others.",
        "A rationale is generated text: it may be wrong where the answer is right, and the direct "
        "answer is not derived from it.",
        "It inherits its teachers' mistakes and leanings.",
    ]
    if info.label_source != "gold":
        points.append(
            f"Its labels come from {info.label_source}, not from people: where they were wrong, it "
            "was taught so."
        )
    if facts.metrics is None:
        points.append("It has not been measured.")
    return "\n".join(f"- {point}" for point in points)


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
