"""Whether the text of an answer node states a given answer, and whether a text gives it away."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from collegium.graphs.graph import Answer

Agrees = Callable[[str], bool | None]
"""Tells of an answer node's text whether it is right; None where it cannot tell."""

_NUMBER = re.compile(r"(?<![\w.])-?\$?\d[\d,]*(?:\.\d+)?")
_LETTER = re.compile(r"\(?\b([a-zA-Z])\b[).:]?")
_STATES = r"(?:answer|result|solution)(?:\s+is|\s*[:=])?\s*\(?\s*"


def numbers(text: str) -> list[str]:
    """Return the numbers in a text as they read without ``$``, grouping commas and idle zeros."""
    return [_plain_number(found) for found in _NUMBER.findall(text)]


def agrees_with(answer: Answer | None) -> Agrees:
    """Return the comparison that a graph's `answer` asks for.

    ``numeric``: the last number of the text. ``mc``: the text, or the letter in front. ``exact``:
    the text is, or ends with, the answer (case, spaces and final stop aside). ``code`` and
    ``none`` cannot tell.
    """
    if answer is None or answer.checker in ("none", "code"):
        return lambda text: None
    value = answer.value
    if answer.checker == "numeric":
        wanted = _value(value)
        return lambda text: _numeric(text, wanted)
    if answer.checker == "mc":
        return lambda text: _choice(text, value)
    return lambda text: _ends_with(text, value)


def gives_away(text: str, answer: Answer | None) -> bool:
    """Tell whether a text states the answer outright ("the answer is 7"), not just contains it."""
    if answer is None or not answer.value.strip():
        return False
    stated = re.escape(answer.value.strip())
    return re.search(rf"{_STATES}{stated}(?![\w]|\.\d)", text, re.IGNORECASE) is not None


def _numeric(text: str, wanted: float | None) -> bool | None:
    found = numbers(text)
    if wanted is None or not found:
        return None
    value = _value(found[-1])
    return value is not None and math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-6)


def _value(text: str) -> float | None:
    try:
        return float(text.strip().rstrip(".%").replace("$", "").replace(",", ""))
    except ValueError:
        return None


def _choice(text: str, value: str) -> bool | None:
    if _ends_with(text, value):
        return True
    found = _LETTER.search(text.strip())
    wanted = _LETTER.match(value.strip())
    if found is None or wanted is None:
        return False
    return found[1].lower() == wanted[1].lower()


def _ends_with(text: str, value: str) -> bool:
    left, right = _bare(text), _bare(value)
    return bool(right) and (left == right or left.endswith(f" {right}"))


def _bare(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".").strip()


def _plain_number(text: str) -> str:
    plain = text.replace("$", "").replace(",", "")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain
