"""Taking a model's completion apart. Nothing here raises on what a model may write."""

from __future__ import annotations

import re
from collections.abc import Sequence

from collegium.tasks.base import Parsed

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LETTER = re.compile(r"\(?([a-z])(?:\)|\.|:|$)\s*", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\$?\d[\d,]*(?:\.\d+)?")


def cut(text: str, stop_strings: Sequence[str]) -> str:
    """Return `text` before the first of `stop_strings`, where a model invents a next question."""
    ends = [at for stop in stop_strings if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def split_at(text: str, markers: Sequence[str]) -> tuple[str, str] | None:
    """Return what stands before and after the first marker found, up to a second one."""
    for marker in markers:
        before, found, after = text.partition(marker)
        if found:
            return before.strip(), after.partition(marker)[0].strip()
    return None


def unparsed(text: str = "") -> Parsed:
    """Return the result for a completion in which no answer was found."""
    return Parsed(rationale=text.strip(), answer=None, parsed=False)


def lettered(choices: Sequence[str]) -> str:
    """Return the choices as published: one line each, ``(a) text``."""
    return "\n".join(
        f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)
    )


def letter_of(answer: str, choices: Sequence[str]) -> str:
    """Return ``(b) text`` for a choice's text, or the text alone where it is no choice."""
    return f"({LETTERS[choices.index(answer)]}) {answer}" if answer in choices else answer


def choice_text(text: str, choices: Sequence[str] | None) -> str | None:
    """Return which choice an answer names.

    As published, ``(b) text.`` is the text behind the letter without the last full stop. Where
    `choices` are known the answer is one of them or None: matched by text (case and final stop
    aside), else by the letter alone (``(b)``, ``b``, ``B.``).
    """
    stripped = text.strip()
    match = _LETTER.match(stripped)
    behind = stripped[match.end() :] if match else stripped
    if choices is None:
        plain = behind[:-1] if behind.endswith(".") else behind
        return plain.strip() or (stripped or None)
    by_text = {_plain(choice): choice for choice in reversed(choices)}
    for candidate in (stripped, behind):
        if candidate and _plain(candidate) in by_text:
            return by_text[_plain(candidate)]
    if match:
        index = LETTERS.index(match[1].lower())
        return choices[index] if index < len(choices) else None
    return None


def first_number(text: str) -> str | None:
    """Return the first number in a text, without ``$`` and grouping commas."""
    found = _NUMBER.search(text)
    return found[0].replace("$", "").replace(",", "").lstrip("+") if found else None


def first_line(text: str) -> str:
    """Return the first line with anything on it, stripped."""
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".").strip()
