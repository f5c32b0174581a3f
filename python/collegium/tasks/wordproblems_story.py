"""Arithmetic stories in a fixed grammar: drawn at random, written as text, read back.

Words, numbers and stops are separated by single spaces, so a word-level tokenizer that splits at
whitespace sees one token each::

    Tom has 5 apples . buys 3 . Ann has 2 apples . loses 4 . how many apples ?

The sentence about somebody else is a distractor and changes nothing.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Literal

Operation = Literal["add", "subtract", "double", "halve"]

NAMES = ("Tom", "Ann", "Bob", "Eve", "Sam", "Mia", "Leo", "Zoe")
THINGS = ("apples", "pens", "coins", "books", "cards", "shells", "stamps", "balls")
GAINS = ("buys", "finds", "gets", "wins")
LOSSES = ("loses", "eats", "sells", "drops")
_VERBS: dict[str, Operation] = {
    **dict.fromkeys(GAINS, "add"),
    **dict.fromkeys(LOSSES, "subtract"),
    "doubles": "double",
    "halves": "halve",
}
_FRAME = re.compile(r"(?P<name>\w+) has (?P<start>\d+) (?P<thing>\w+) \. (?P<rest>.+)")


@dataclass(frozen=True)
class Level:
    """How hard stories are: steps per story, and the range that no value ever leaves."""

    steps_min: int = 2
    steps_max: int = 4
    max_value: int = 10
    operand_max: int = 9
    operations: tuple[Operation, ...] = ("add", "subtract")


LEVELS = {
    "easy": Level(steps_min=1, steps_max=2),
    "default": Level(),
    "hard": Level(
        steps_min=3,
        steps_max=6,
        max_value=40,
        operand_max=20,
        operations=("add", "subtract", "double", "halve"),
    ),
}


@dataclass(frozen=True)
class Step:
    """One change; `operand` is 2 where the number is doubled or halved."""

    operation: Operation
    operand: int

    def apply(self, value: int) -> int:
        """Return the value after this step."""
        match self.operation:
            case "add":
                return value + self.operand
            case "subtract":
                return value - self.operand
            case "double":
                return value * 2
            case "halve":
                return value // 2


@dataclass(frozen=True)
class Story:
    """What a question tells: a start and what happens to it."""

    start: int
    steps: tuple[Step, ...]

    @property
    def answer(self) -> int:
        """The number asked for."""
        value = self.start
        for step in self.steps:
            value = step.apply(value)
        return value


def draw(rng: random.Random, level: Level, distractor: float = 0.0) -> tuple[str, Story]:
    """Draw one question and its story; `distractor` is the probability of an idle sentence."""
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    count = rng.randint(level.steps_min, level.steps_max)
    start = value = rng.randint(1, min(level.max_value, level.operand_max))
    sentences, steps = [f"{name} has {start} {thing} ."], []
    for _ in range(count):
        step = _draw_step(rng, level, value)
        if step is None:
            break
        steps.append(step)
        sentences.append(_sentence(rng, step))
        value = step.apply(value)
    if distractor and rng.random() < distractor:
        other = rng.choice([n for n in NAMES if n != name])
        place = rng.randint(1, len(sentences))
        sentences.insert(place, f"{other} has {rng.randint(1, level.operand_max)} {thing} .")
    return " ".join([*sentences, f"how many {thing} ?"]), Story(start, tuple(steps))


def _draw_step(rng: random.Random, level: Level, value: int) -> Step | None:
    room = level.max_value - value
    possible: list[Operation] = [
        operation
        for operation in level.operations
        if (operation == "add" and room > 0)
        or (operation == "subtract" and value > 0)
        or (operation == "double" and 0 < value <= room)
        or (operation == "halve" and value > 1 and value % 2 == 0)
    ]
    if not possible:
        return None
    operation = rng.choice(possible)
    if operation == "add":
        return Step(operation, rng.randint(1, min(level.operand_max, room)))
    if operation == "subtract":
        return Step(operation, rng.randint(1, min(level.operand_max, value)))
    return Step(operation, 2)


def _sentence(rng: random.Random, step: Step) -> str:
    match step.operation:
        case "add":
            return f"{rng.choice(GAINS)} {step.operand} ."
        case "subtract":
            return f"{rng.choice(LOSSES)} {step.operand} ."
        case "double":
            return "doubles them ."
        case "halve":
            return "halves them ."


def read_story(question: str) -> Story | None:
    """Read a question back; None where the text does not follow the grammar."""
    frame = _FRAME.fullmatch(question.strip())
    if frame is None:
        return None
    *sentences, last = [part.strip() for part in frame["rest"].split(" . ")]
    if last != f"how many {frame['thing']} ?":
        return None
    steps = []
    for sentence in sentences:
        words = sentence.split()
        if len(words) == 4 and words[1] == "has" and words[0] != frame["name"]:
            continue
        operation = _VERBS.get(words[0]) if len(words) == 2 else None
        if operation is None:
            return None
        if operation in ("double", "halve"):
            if words[1] != "them":
                return None
            steps.append(Step(operation, 2))
        elif words[1].isascii() and words[1].isdigit():
            steps.append(Step(operation, int(words[1])))
        else:
            return None
    return Story(int(frame["start"]), tuple(steps)) if steps else None
