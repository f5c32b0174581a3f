"""When a prediction counts as right."""

from __future__ import annotations

from collegium.tasks.equation import evaluate, same_value


def same_text(first: str | None, second: str | None) -> bool:
    """Exact equality once surrounding whitespace is gone; None only equals None."""
    if first is None or second is None:
        return first is second
    return first.strip() == second.strip()


def same_number(first: str | None, second: str | None) -> bool:
    """Equality of two numbers or expressions by value; None only equals None.

    Grouping commas (``1,200``), a leading ``$`` and a final full stop are read over. Texts that
    are no arithmetic equal nothing.
    """
    if first is None or second is None:
        return first is second
    return same_value(evaluate(_bare(first)), evaluate(_bare(second)))


def same_equation(first: str | None, second: str | None) -> bool:
    """Equality of two equations by value, as published for SVAMP; None only equals None.

    A text that cannot be evaluated equals nothing, itself included.
    """
    if first is None or second is None:
        return first is second
    return same_value(evaluate(first), evaluate(second))


def same_yes_no(first: str | None, second: str | None) -> bool:
    """Equality of two yes/no answers (yes, true, y; no, false, n); None only equals None."""
    if first is None or second is None:
        return first is second
    left, right = yes_or_no(first), yes_or_no(second)
    return left is not None and left == right


def yes_or_no(text: str) -> str | None:
    """Return ``yes``, ``no``, or None where the text is neither."""
    word = text.strip().rstrip(".!").lower()
    if word in ("yes", "true", "y"):
        return "yes"
    return "no" if word in ("no", "false", "n") else None


def _bare(text: str) -> str:
    stripped = text.strip().rstrip(".").lstrip("$").strip()
    return stripped.replace(",", "") if _grouped(stripped) else stripped


def _grouped(text: str) -> bool:
    head, *groups = text.lstrip("-").split(",")
    whole = [*groups[:-1], groups[-1].split(".")[0]] if groups else []
    return bool(groups) and head.isdigit() and all(len(g) == 3 and g.isdigit() for g in whole)
