"""What the cleaner cuts and drops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.pipeline.rationale import complete, concluded, loops


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Heat rises. So the air gets", "Heat rises."),
        ("Heat rises. So the air gets warm.", "Heat rises. So the air gets warm."),
        ('He said "go!" and then', 'He said "go!"'),
        ("It is 3.5 apples. So 3", "It is 3.5 apples."),
        ("Birds, e.g. Dr. Smith's, fly. They e.g. eat", "Birds, e.g. Dr. Smith's, fly."),
        ("1. Add five.\n2. Take", "1. Add five."),
        ("(a) fog: water.\n(b) rain: wat", "(a) fog: water."),
        ("no end at all", "no end at all"),
        ("Wait... what", "Wait..."),
        ("温度が上がる。そして", "温度が上がる。"),
        ("", ""),
    ],
)
def test_cut_at_the_last_complete_sentence(text, kept):
    assert complete(text) == kept
    assert complete(kept) == kept


@given(st.text(max_size=80))
def test_cutting_never_adds(text):
    cut = complete(text)
    assert text.startswith(cut.rstrip()) or cut == text
    assert cut.strip() or not text.strip()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the cat sat on the mat " * 3, True),
        ("Plants need light. " * 4 + "So they grow.", True),
        ("no no no no no no no no no no no no", True),
        ("very very very good", False),
        ("5 + 5 + 5 + 5 + 5 + 5 + 5 + 5 + 5 + 5 + 5 + 5 + 5 = 65", False),
        ("(a) cats are animals. (b) dogs are animals. (c) cows are animals.", False),
        ("Heat rises. Heat rises and so the air moves up.", False),
        ("", False),
    ],
)
def test_loops(text, found):
    assert loops(text) is found


CHOICES = ["fog", "rain", "a long drought", "yes"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is dry. The answer is (c).", "a long drought"),
        ("So the correct answer is rain.", "rain"),
        ("The answer is (b) rain.", "rain"),
        ("The answer is option (a).", "fog"),
        ("Therefore (b) rain is the correct option.", "rain"),
        ("The best choice is A.", "fog"),
        ("First I thought the answer is fog. But the answer is rain.", "rain"),
        ("The answer is not fog.", None),
        ("The answer is a fox.", None),
        ("The answer is fog or rain.", None),
        ("Fog is wet.", None),
        ("The answer is unclear.", None),
    ],
)
def test_conclusions_among_choices(text, answer):
    assert concluded(text, CHOICES) == answer


def test_conclusions_that_are_numbers():
    assert concluded("So the answer is 1,200.", None) == "1200"
    assert concluded("So the answer is $3.50 in all.", None) == "3.50"
    assert concluded("The answer is many.", None) is None
