"""Cutting a chain of thought into sentences and steps.

Full stops inside numbers, abbreviations, initials and ``<<..>>`` calculator marks do not end a
sentence. Joined with single spaces, the pieces are the text again, but for white space.
"""

from __future__ import annotations

import re

_WORDS = """
mr mrs ms dr prof st no nos vs etc e.g i.e cf approx fig figs eq eqs vol ch sec min max hr hrs jan
feb mar apr jun jul aug sep sept oct nov dec inc ltd co jr sr p pp a.m p.m u.s sq ft lb lbs oz kg
km cm mm dept est
"""
_ABBREVIATIONS = frozenset(_WORDS.split())
_ALSO_LAST = "no min max p co sec ft lb lbs oz kg km cm mm hr hrs p.m a.m u.s"
_AMBIGUOUS = frozenset(_ALSO_LAST.split())
"""Abbreviations that also end sentences: there, a capital letter behind the stop decides."""
_END = re.compile(r"[.!?;]+[\"')\]]*(?=\s|$)")
_MARK = re.compile(r"<<[^<>]*>>")
_NUMBERING = re.compile(r"(?:step\s*)?\(?\d{1,3}\s*[.):]", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|(?:step\s+)?\(?\d{1,3}[.):]\s+)", re.IGNORECASE)


def sentences(text: str) -> list[str]:
    """Cut a text into sentences; a semicolon before a space and a new line end one, too."""
    return [sentence for line in text.splitlines() for sentence in _line(line)]


def steps(text: str) -> list[str]:
    """Cut a chain of thought into steps: its sentences, without bullets and numbering."""
    found = (_BULLET.sub("", sentence).strip() for sentence in sentences(text))
    return [step for step in found if step and not re.fullmatch(r"[\W_]+", step)]


def _line(line: str) -> list[str]:
    hidden = [match.span() for match in _MARK.finditer(line)]
    found, start = [], 0
    for match in _END.finditer(line):
        at = match.start()
        if any(a <= at < b for a, b in hidden) or not _ends(line, start, at, match.end()):
            continue
        found.append(line[start : match.end()].strip())
        start = match.end()
    found.append(line[start:].strip())
    return [sentence for sentence in found if sentence]


def _ends(line: str, start: int, at: int, end: int) -> bool:
    if line[at] != "." or end - at > 1:
        return True
    before = line[start:at]
    if _NUMBERING.fullmatch(before.strip() + "."):
        return False
    word = before.rsplit(None, 1)[-1].lower().lstrip("(\"'[") if before.strip() else ""
    behind = line[end:].lstrip()
    if word in _AMBIGUOUS:
        numbered = word in ("no", "p", "sec") and behind[:1].isdigit()
        return not numbered and (not behind or behind[0].isupper())
    if word in _ABBREVIATIONS:
        return not behind
    initial = len(word) == 1 and word.isalpha() and before[-1:].isupper()
    return not (initial and behind[:1].isupper() and word != "i" and _is_name(before))


def _is_name(before: str) -> bool:
    words = before.split()
    return len(words) < 2 or words[-2][:1].isupper() or words[-2][-1:] == "."
