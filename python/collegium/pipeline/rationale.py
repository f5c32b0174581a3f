"""What is wrong with a rationale's text: cut off, going in circles, arguing for another option.

Pure functions of a text. They err on the side of keeping: what they are not sure of stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from collegium.tasks.parsing import LETTERS, choice_text, first_number

LONGEST_LOOP = 60
"""Words in the longest stretch that is looked for again."""
REPEATS = 3
LOOP_WORDS = 12
"""Words that a loop covers at least, all its turns together."""

_END = re.compile(r"[.!?…。！？]+[\"'”’)\]*]*(?=\s|$)|[。！？]|\n")
_ABBREVIATIONS = frozenset(
    [
        "e.g.",
        "i.e.",
        "etc.",
        "vs.",
        "cf.",
        "ca.",
        "dr.",
        "mr.",
        "mrs.",
        "ms.",
        "st.",
        "no.",
        "fig.",
        "eq.",
        "al.",
        "approx.",
    ]
)
_MARKER = re.compile(r"\(?(\d{1,3}|[a-zA-Z])\.")
_WORD = re.compile(r"\w+")
_CONCLUSION = re.compile(
    r"\b(?:correct |best |right |final )?(?:answer|option|choice)(?: is| must be| should be|:)"
    r"\s*:?\s*(?P<said>(?:option |choice |answer )?[^\n;]{1,120}?)(?:\.(?=\s|$)|[;\n]|$)"
    r"|(?P<letter>\([a-zA-Z]\))[^.\n]{0,80}? is the "
    r"(?:correct|best|right) (?:answer|option|choice)",
    re.IGNORECASE,
)
_DOUBT = re.compile(r"\b(?:not|neither|nor|none|unclear|either|or)\b|n't\b", re.IGNORECASE)


def complete(text: str) -> str:
    """Return the text up to its last complete sentence or line; all of it where there is none.

    A full stop after an abbreviation, an initial or the number of a list item ends no sentence.
    """
    stripped = text.rstrip()
    last = 0
    for end in _END.finditer(stripped):
        word = stripped[: end.end()].split()[-1:] or [""]
        stop = end[0].startswith(".") and len(end[0].strip("\"'”’)]*")) == 1
        short = word[0].lower().lstrip("(") in _ABBREVIATIONS or _MARKER.fullmatch(word[0])
        if not (stop and short and end.end() < len(stripped)):
            last = end.end()
    kept = stripped[:last].rstrip()
    return kept if kept.strip() else text


def loops(text: str) -> bool:
    """Tell whether the same up to `LONGEST_LOOP` words come `REPEATS` times in a row or more.

    A sum such as ``5 + 5 + 5`` is no loop: a stretch without a word of letters does not count.
    """
    words = _WORD.findall(text.lower())
    for period in range(1, min(LONGEST_LOOP, len(words) // REPEATS) + 1):
        needed = max((REPEATS - 1) * period, LOOP_WORDS - period)
        run = 0
        for at in range(period, len(words)):
            run = run + 1 if words[at] == words[at - period] else 0
            stretch = words[at - period + 1 : at + 1]
            if run >= needed and any(len(w) > 1 and w.isalpha() for w in stretch):
                return True
    return False


def concluded(text: str, choices: Sequence[str] | None) -> str | None:
    """Return the answer that the text states last in so many words, or None.

    Understood are ``the answer is ...`` and ``(b) ... is the correct option``; with `choices` only
    what names exactly one of them counts, without them a number.
    """
    found = None
    for match in _CONCLUSION.finditer(text):
        said = match["letter"] or match["said"].strip()
        if _DOUBT.search(said) and not (choices and choice_text(said, choices)):
            found = None
        else:
            found = _named(said, choices)
    return found


def _named(said: str, choices: Sequence[str] | None) -> str | None:
    said = re.sub(r"^(?:option|choice|answer)\s+", "", said, flags=re.IGNORECASE).strip("\"'“” ")
    if choices is None:
        return first_number(said) if said[:1].isdigit() or said[:1] in "-$(" else None
    # A bare letter may be a word of the sentence (`a fox`): it counts in brackets or alone.
    lettered = re.match(r"\(([a-zA-Z])\)|([a-zA-Z])(?:[.):]|$)", said)
    if lettered:
        place = LETTERS.index((lettered[1] or lettered[2]).lower())
        return choices[place] if place < len(choices) else None
    return choice_text(said, choices)
