"""How a question is put to the student: the task markers and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from collegium.errors import ArgumentError
from collegium.objectives.chat import ChatTurn

StudentKind = Literal["decoder", "encoder-decoder"]

LABEL = "label"
RATIONALE_PREFIX = "rationale:"
PROMPT_END: dict[StudentKind, str] = {"decoder": "\n", "encoder-decoder": ""}
"""What ends a prompt. A decoder-only student reads prompt and target as one text: the newline makes
the place where they meet a token boundary, so that ids of the prompt followed by ids of the target
are the same in training and in generation. An encoder's prompt ends by itself."""


def teacher_of(objective: str) -> str | None:
    """Return the teacher of a rationale objective, None for ``label``.

    Raises:
        ArgumentError: `objective` is neither ``label`` nor ``rationale:<teacher>``.
    """
    if objective == LABEL:
        return None
    teacher = objective.removeprefix(RATIONALE_PREFIX)
    if not objective.startswith(RATIONALE_PREFIX) or not teacher:
        raise ArgumentError(
            f"objective {objective!r}: expected 'label' or 'rationale:<teacher>' "
            "(e.g. 'rationale:palm')"
        )
    return teacher


def default_markers(objectives: Iterable[str]) -> dict[str, str]:
    """Return the markers as published for these objectives.

    ``predict:`` for labels; ``explain:`` for the rationales of one teacher (Hsieh et al.,
    arXiv 2305.02301), ``explain <teacher>:`` where there are several (one instruction a teacher as
    in TinyLLM, arXiv 2402.04616).
    """
    teachers = {name: teacher_of(name) for name in objectives}
    several = sum(teacher is not None for teacher in teachers.values()) > 1
    return {
        name: "predict:" if teacher is None else f"explain {teacher}:" if several else "explain:"
        for name, teacher in teachers.items()
    }


class PromptFormat(BaseModel):
    """Markers, their place, and whether a rationale ends with its answer.

    ``before``: ``predict: <question>``, the published form. ``after``: ``<question> predict:``, so
    that all objectives share the question's tokens. Markers are words of their own, separated by
    spaces, and therefore whole tokens for a tokenizer that splits at white space.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    marker_position: Literal["before", "after"] = "before"
    markers: dict[str, str] = {}
    """Objective to marker text; `resolve` fills in the defaults."""
    conclusion: bool = False
    """Whether each rationale is followed by the sentence that states its answer."""
    chat: ChatTurn | None = None
    """The turn of the student's chat template that prompts stand in; None without one."""

    @model_validator(mode="after")
    def _markers_are_words(self) -> PromptFormat:
        for objective, marker in self.markers.items():
            if not marker.strip() or marker != marker.strip() or "\n" in marker:
                raise ValueError(
                    f"marker of {objective!r}: expected one line of text without spaces around it, "
                    f"found {marker!r}"
                )
        texts = list(self.markers.values())
        for marker in texts:
            if texts.count(marker) > 1:
                names = sorted(name for name, text in self.markers.items() if text == marker)
                raise ValueError(f"marker {marker!r} is used for several objectives: {names}")
        return self

    def resolve(self, objectives: Sequence[str]) -> PromptFormat:
        """Return the format with a marker for every objective, given ones kept."""
        markers = {**default_markers(objectives), **self.markers}
        return PromptFormat(
            marker_position=self.marker_position,
            markers={name: markers[name] for name in dict.fromkeys([*objectives, *self.markers])},
            conclusion=self.conclusion,
            chat=self.chat,
        )

    def marker(self, objective: str) -> str:
        """Return the marker of `objective`.

        Raises:
            ArgumentError: it has none; the message lists those that have one.
        """
        if objective in self.markers:
            return self.markers[objective]
        if objective == LABEL:
            return default_markers([LABEL])[LABEL]
        known = ", ".join(sorted(self.markers)) or "none"
        raise ArgumentError(f"objective {objective!r} has no marker (known: {known})")

    def affixes(self, objective: str, kind: StudentKind) -> tuple[str, str, str]:
        """Return the text before a question, the text after it, and the prompt without question."""
        marker = self.marker(objective)
        head, tail = ("", PROMPT_END[kind]) if self.chat is None else self.chat.around
        whole = head + marker + tail
        if self.marker_position == "before":
            return f"{head}{marker} ", tail, whole
        return head, f" {marker}{tail}", whole

    def prompt(self, objective: str, input_text: str, kind: StudentKind = "encoder-decoder") -> str:
        """Return the prompt text of one question, ending with `PROMPT_END[kind]` or the turn."""
        before, after, empty = self.affixes(objective, kind)
        text = input_text.strip()
        return f"{before}{text}{after}" if text else empty
