"""Word problems: what is asked, how it is solved, and how it goes wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from collegium.errors import RecipeError
from collegium.tasks import open_task
from collegium.tasks.wordproblems import WordProblems
from collegium.tasks.wordproblems_solve import (
    STYLES,
    Mistake,
    MistakeKind,
    solve,
    wrong_solutions,
)
from collegium.tasks.wordproblems_story import LEVELS, Step, Story, read_story

QUESTION = "Tom has 5 apples . buys 3 . loses 2 . how many apples ?"
STORY = Story(5, (Step("add", 3), Step("subtract", 2)))
LONG = Story(
    6,
    (Step("add", 2), Step("subtract", 4), Step("add", 4), Step("halve", 2), Step("double", 2)),
)


def opened(**options: Any) -> WordProblems:
    task = open_task("wordproblems", None, options)
    assert isinstance(task, WordProblems)
    return task


def test_sizes_and_difficulty_by_default() -> None:
    splits = opened().load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [500, 100, 1000]
    steps = Counter[int]()
    for example in splits["test"]:
        story = read_story(example.question)
        assert story is not None
        assert str(story.answer) == example.answer
        steps[len(story.steps)] += 1
        value = story.start
        for step in story.steps:
            assert step.operation in ("add", "subtract")
            assert 1 <= step.operand <= 9
            value = step.apply(value)
            assert 0 <= value <= 10
    assert set(steps) == {2, 3, 4}
    majority = Counter(e.answer for e in splits["test"]).most_common(1)[0][1]
    assert majority < 200


def test_one_seed_one_data_set() -> None:
    assert opened().load() == opened().load()
    first, second = opened().load(), opened(seed=1).load()
    assert first["test"] != second["test"]


def test_sizes_do_not_change_other_questions() -> None:
    small = opened(train=50, validation=10, test=100).load()
    large = opened(train=400, validation=60, test=150).load()
    for split, count in {"train": 50, "validation": 10, "test": 100}.items():
        assert small[split] == large[split][:count]


def test_splits_are_disjoint_by_text_over_all_seeds() -> None:
    held_out: set[str] = set()
    learned: set[str] = set()
    for seed in range(4):
        splits = opened(seed=seed, train=1500).load()
        for split, examples in splits.items():
            questions = {e.question for e in examples}
            assert len(questions) == len(examples)
            (held_out if split == "test" else learned).update(questions)
    assert not held_out & learned


@pytest.mark.parametrize("difficulty", LEVELS)
@pytest.mark.parametrize("distractor", [0.0, 0.7])
def test_every_level_is_read_back(difficulty: str, distractor: float) -> None:
    task = opened(difficulty=difficulty, distractor=distractor, train=300, test=10)
    idle = 0
    for example in task.load()["train"]:
        story = read_story(example.question)
        assert story is not None
        assert str(story.answer) == example.answer
        assert task.level.steps_min <= len(story.steps) <= task.level.steps_max
        assert "  " not in example.question
        idle += example.question.count(" has ") - 1
    assert abs(idle / 300 - distractor) < 0.1


def test_single_keys_replace_parts_of_a_level() -> None:
    task = opened(difficulty="hard", operations=["add"], max_value=500, steps_min=5, steps_max=5)
    for example in task.load()["test"]:
        story = read_story(example.question)
        assert story is not None
        assert [step.operation for step in story.steps] == ["add"] * len(story.steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_min": 5}, "steps_min 5 is above steps_max 4"),
        ({"difficulty": "easy", "max_value": 2, "operations": ["add"]}, "hardly more than"),
        ({"difficulty": "hrad"}, "'easy', 'default' or 'hard'"),
        ({"train": 0}, "greater than or equal to 1"),
        ({"operations": ["power"]}, "'add', 'subtract', 'double' or 'halve'"),
        ({"difficult": "easy"}, "unknown key 'difficult'. Did you mean 'difficulty'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        opened(**options).load()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tom has 5 apples .",
        "Tom has 5 apples . how many apples ?",
        "Tom has five apples . buys 3 . how many apples ?",
        "Tom has 5 apples . steals 3 . how many apples ?",
        "Tom has 5 apples . doubles 3 . how many apples ?",
        "Tom has 5 apples . buys them . how many apples ?",
        "Tom has 5 apples . buys ² . how many apples ?",
        "Tom has 5 apples . Tom has 3 apples . how many apples ?",
        "Tom has 5 apples . buys 3 . how many pens ?",
        "Tom has 5 apples.",
    ],
)
def test_other_texts_are_no_stories(text: str) -> None:
    assert read_story(text) is None


def test_reading() -> None:
    assert read_story(QUESTION) == STORY
    idle = QUESTION.replace("buys", "Ann has 9 apples . buys")
    assert read_story(idle) == STORY


@pytest.mark.parametrize(
    ("story", "style", "text"),
    [
        (STORY, "equations", "5 + 3 = 8 ; 8 - 2 = 6 ;"),
        (STORY, "narration", "start with 5 , add 3 to get 8 , take 2 to get 6 ,"),
        (STORY, "net_change", "gains 3 , losses 2 , 3 - 2 = 1 more , 5 + 1 = 6 ;"),
        (LONG, "equations", "6 + 2 = 8 ; 8 - 4 = 4 ; 4 + 4 = 8 ; 8 / 2 = 4 ; 4 * 2 = 8 ;"),
        (
            LONG,
            "narration",
            "start with 6 , add 2 to get 8 , take 4 to get 4 , add 4 to get 8 , halve to get 4 , "
            "double to get 8 ,",
        ),
        (
            LONG,
            "net_change",
            "gains 2 + 4 = 6 , losses 4 , 6 - 4 = 2 more , 6 + 2 = 8 ; 8 / 2 = 4 ; 4 * 2 = 8 ;",
        ),
        (
            Story(7, (Step("subtract", 4), Step("add", 1))),
            "net_change",
            "gains 1 , losses 4 , 4 - 1 = 3 fewer , 7 - 3 = 4 ;",
        ),
        (
            Story(7, (Step("subtract", 4), Step("add", 4))),
            "net_change",
            "gains 4 , losses 4 , no change from 7 ;",
        ),
        (Story(7, (Step("subtract", 4),)), "net_change", "losses 4 , 7 - 4 = 3 ;"),
    ],
)
def test_styles(story: Story, style: str, text: str) -> None:
    solution = solve(story, style, max_value=10)
    assert solution.text == text
    assert solution.answer == story.answer


@pytest.mark.parametrize(
    ("mistake", "style", "text"),
    [
        (Mistake(MistakeKind.WRONG_OPERATOR, 0), "equations", "5 - 3 = 2 ; 2 - 2 = 0 ;"),
        (Mistake(MistakeKind.SLIP, 0, 1), "equations", "5 + 3 = 9 ; 9 - 2 = 7 ;"),
        (Mistake(MistakeKind.SKIPPED_STEP, 0), "equations", "5 - 2 = 3 ;"),
        (Mistake(MistakeKind.SWAPPED_OPERANDS, 1), "equations", "5 + 3 = 8 ; 2 - 8 = 0 ;"),
        (
            Mistake(MistakeKind.SWAPPED_OPERANDS, 1),
            "narration",
            "start with 5 , add 3 to get 8 , take 8 from 2 to get 0 ,",
        ),
        (Mistake(MistakeKind.WRONG_OPERATOR, 1), "net_change", "gains 3 + 2 = 5 , 5 + 5 = 10 ;"),
        (
            Mistake(MistakeKind.SLIP, 1, -1),
            "net_change",
            "gains 3 , losses 2 , 3 - 2 = 1 more , 5 + 1 = 5 ;",
        ),
        (Mistake(MistakeKind.SKIPPED_STEP, 1), "net_change", "gains 3 , 5 + 3 = 8 ;"),
    ],
)
def test_mistakes(mistake: Mistake, style: str, text: str) -> None:
    assert solve(STORY, style, mistake, max_value=10).text == text
    assert mistake in [
        m for found in wrong_solutions(STORY, style, max_value=10).values() for m, _ in found
    ]


def test_kinds_of_mistakes_can_be_chosen() -> None:
    found = wrong_solutions(STORY, "equations", max_value=10, kinds=[MistakeKind.SLIP])
    assert set(found) == {MistakeKind.SLIP}
    assert set(wrong_solutions(STORY, "equations", max_value=10)) == set(MistakeKind)


@pytest.mark.parametrize("difficulty", LEVELS)
def test_a_tokenizer_made_on_the_corpus_knows_every_word(difficulty: str) -> None:
    task = opened(difficulty=difficulty, distractor=0.3, train=30, validation=20, test=300)
    splits = task.load()
    known = {word for text in task.corpus(splits) for word in text.split()}
    if difficulty == "default":
        assert len(known) < 100
    for example in [*splits["test"], *opened(difficulty=difficulty, seed=9).load()["train"]]:
        assert set(example.question.split()) <= known
        story = read_story(example.question)
        assert story is not None
        for style in STYLES:
            right = solve(story, style, max_value=task.level.max_value)
            wrong = wrong_solutions(story, style, max_value=task.level.max_value)
            for solution in [right, *(s for found in wrong.values() for _, s in found)]:
                assert set(solution.text.split()) <= known
                assert set(task.conclusion(str(solution.answer)).split()) <= known


def test_the_last_answer_counts() -> None:
    task = opened()
    assert task.parse("5 + 3 = 8 ; answer 8").answer == "8"
    assert task.parse("answer 7 no , answer 8 \n\nQ: answer 9").answer == "8"
    assert task.parse("Answer: 8").answer == "8"
    assert task.parse("5 + 3 = 8 ; ").rationale == "5 + 3 = 8 ;"
    assert not task.parse("the answers 8").parsed
