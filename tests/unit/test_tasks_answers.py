"""Equations, numbers, choices, yes and no: read and compared."""

from __future__ import annotations

import pytest

from collegium.tasks.checkers import (
    same_equation,
    same_number,
    same_text,
    same_yes_no,
)
from collegium.tasks.equation import evaluate, same_value
from collegium.tasks.parsing import choice_text, cut, first_number, letter_of, lettered, split_at


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("( 84.0 / 2.0 )", 42.0),
        ("(17 + 15 + 2)", 34.0),
        ("1 - 2 * 3", -5.0),
        ("-(3 - 5)", 2.0),
        ("+4", 4.0),
        (" ( ( 1 +\n 2 ) * .5 ) ", 1.5),
        ("7.", 7.0),
        ("0", 0.0),
    ],
)
def test_arithmetic(text: str, value: float) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "()",
        "(1",
        "1 +",
        "1 / 0",
        "0.0 / 0.0",
        "2 ** 3",
        "9 ** 9 ** 9 ** 9",
        "7 // 2",
        "1e9",
        "1e999",
        "9" * 399,
        "0." + "0" * 500,
        "1_000",
        "1,000",
        "007",
        "x + 1",
        "print(1)",
        "__import__('os')",
        "(5)(3)",
        "1 if 1 else 2",
        "True",
        "1j",
        "'a' * 3",
        "\0",
        "١ + ٢",
        "(" * 150 + "1" + ")" * 150,
        "-" * 300 + "1",
        "+".join(["1"] * 190),
        "*".join(["9" * 20] * 19),
        "1 " * 150,
    ],
)
def test_what_is_no_arithmetic_has_no_value(text: str) -> None:
    assert evaluate(text) is None
    assert not same_equation(text, text)


def test_values_within_tolerance() -> None:
    assert same_value(1 / 3, 0.3333333)
    assert same_value(0.0, 1e-9)
    assert not same_value(1.0, 1.001)
    assert not same_value(None, None)
    assert same_equation("( 7 - 2 )", "(5 * 1.0)")
    assert not same_equation("( 7 - 2 )", "(2 - 7)")


def test_only_none_equals_none() -> None:
    for same in (same_text, same_number, same_equation, same_yes_no):
        assert same(None, None)
        assert not same(None, "1")
        assert not same("yes", None)


def test_numbers() -> None:
    assert same_number("1,200", "1200.0")
    assert same_number("$ 5.", "5")
    assert same_number("-1,234,567.5", "-1234567.5")
    assert not same_number("1,20", "120")
    assert not same_number("five", "five")
    assert first_number("about $1,200.50 or 7") == "1200.50"
    assert first_number("-3 degrees") == "-3"
    assert first_number("none") is None


def test_yes_and_no() -> None:
    assert same_yes_no("Yes.", "true")
    assert same_yes_no("no", "False")
    assert not same_yes_no("yes", "no")
    assert not same_yes_no("maybe", "maybe")


CHOICES = ["a dog", "Cats.", "a", "Birds"]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("a dog", "a dog"),
        ("A dog.", "a dog"),
        ("(a) a dog.", "a dog"),
        ("(b)", "Cats."),
        ("B.", "Cats."),
        ("b", "Cats."),
        ("cats", "Cats."),
        ("(d) something else", "Birds"),
        ("d: birds", "Birds"),
        ("a", "a"),
        ("(c) a", "a"),
        ("(e)", None),
        ("z", None),
        ("neither", None),
        ("", None),
    ],
)
def test_choices_by_text_then_by_letter(text: str, choice: str | None) -> None:
    assert choice_text(text, CHOICES) == choice


@pytest.mark.parametrize(
    ("text", "answer"), [("(a) a dog.", "a dog"), ("a dog", "a dog"), ("(a)", "(a)"), ("", None)]
)
def test_choices_as_published_where_they_are_not_known(text: str, answer: str | None) -> None:
    assert choice_text(text, None) == answer


def test_letters() -> None:
    assert lettered(["x", "y"]) == "(a) x\n(b) y"
    assert letter_of("y", ["x", "y"]) == "(b) y"
    assert letter_of("z", ["x", "y"]) == "z"


def test_cutting_and_splitting() -> None:
    assert cut("one Q: two Premise: three", ("Premise:", "Q:")) == "one "
    assert cut("one", ("Q:",)) == "one"
    assert split_at("because. So it is 3. So it is 4.", ("So it is",)) == ("because.", "3.")
    assert split_at("nothing", ("So it is",)) is None
