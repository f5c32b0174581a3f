"""Every story can be told, read back, solved in every style, and got wrong."""

from __future__ import annotations

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.tasks.equation import evaluate
from collegium.tasks.wordproblems_solve import STYLES, solve, wrong_solutions
from collegium.tasks.wordproblems_story import Level, draw, read_story

LEVELS = st.builds(
    lambda low, more, largest, operand, operations: Level(
        low, low + more, largest, operand, tuple(operations)
    ),
    st.integers(1, 5),
    st.integers(0, 3),
    st.integers(2, 60),
    st.integers(1, 30),
    st.lists(
        st.sampled_from(["add", "subtract", "double", "halve"]), min_size=1, unique=True
    ).filter(lambda found: {"add", "subtract"} <= set(found)),
)
EQUATION = re.compile(r"(\d+(?: \+ \d+)+|\d+ [-*/] \d+) = (\d+)")


@given(LEVELS, st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_stories(level: Level, seed: int, distractor: float) -> None:
    question, story = draw(random.Random(seed), level, distractor)
    assert read_story(question) == story
    assert level.steps_min <= len(story.steps) <= level.steps_max
    value = story.start
    for step in story.steps:
        value = step.apply(value)
        assert 0 <= value <= level.max_value
    for style in STYLES:
        solution = solve(story, style, max_value=level.max_value)
        assert solution.answer == story.answer == value
        for left, right in EQUATION.findall(solution.text):
            assert evaluate(left) == int(right)
        wrong = wrong_solutions(story, style, max_value=level.max_value)
        for found in wrong.values():
            for mistake, mistaken in found:
                assert 0 <= mistake.step < len(story.steps)
                assert mistaken.answer != story.answer
                assert 0 <= mistaken.answer <= level.max_value
                assert mistaken.text
                assert all(
                    int(n) <= max(level.max_value, level.operand_max * level.steps_max)
                    for n in re.findall(r"\d+", mistaken.text)
                )
