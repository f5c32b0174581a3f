"""A corpus of rationales with known clusters, of any size, made from a seed alone.

Each base text is sampled again a number of times (geometric, mean 3) with a perturbation:

| kind | share | what | may be merged with its base |
|---|---|---|---|
| exact | 10 % | a copy | yes |
| format | 20 % | case, punctuation, a phrase before or after | yes |
| light | 40 % | 3-8 % of the words dropped, swapped or replaced | yes |
| heavy | 15 % | 15-30 % of the words edited | yes |
| conflict | 15 % | one number or word of polarity changed: another answer | never |

so that conflicts are about a tenth of all rows. Bases are arithmetic rationales (that differ only
in names and numbers: hard negatives) and chains of argument spliced from a stock of sentences (that
share sentences: medium overlap).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

SYNONYMS = dict(
    pair.split(":")
    for pair in [
        "because:since",
        "since:because",
        "so:therefore",
        "therefore:thus",
        "thus:so",
        "can:could",
        "the:a",
        "a:the",
        "will:would",
        "make:create",
        "get:obtain",
        "big:large",
        "help:assist",
        "use:employ",
        "need:require",
        "many:several",
        "also:additionally",
        "but:however",
        "then:next",
        "first:initially",
        "have:possess",
        "find:determine",
    ]
)
POLARITY = dict(
    pair.split(":")
    for pair in [
        "more:less",
        "less:more",
        "increase:decrease",
        "not:indeed",
        "always:never",
        "before:after",
        "after:before",
        "hot:cold",
        "up:down",
        "higher:lower",
        "larger:smaller",
        "true:false",
    ]
)
BEFORE = ("Let's think step by step. ", "Sure! Here is the reasoning: ", "Okay, ", "Step 1: ")
AFTER = (" So the answer is clear.", " Hence the answer.", " Thus, the answer follows.", "")
NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "Dev",
    "Elena",
    "Farid",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Maya",
    "Noor",
    "Omar",
    "Priya",
]
THINGS = [
    "apples",
    "books",
    "pencils",
    "marbles",
    "cookies",
    "tickets",
    "stamps",
    "coins",
    "cards",
    "bottles",
]


@dataclass
class Corpus:
    """Columns of rows; rows of one cluster may be merged, of two clusters never."""

    texts: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)


def make(rows: int, *, seed: int = 7, sentences: tuple[int, int] = (2, 4)) -> Corpus:
    """Make `rows` rows; `sentences`: how many a spliced base has."""
    return _Maker(random.Random(seed), rows, sentences).make()


class _Maker:
    def __init__(self, r: random.Random, rows: int, sentences: tuple[int, int]) -> None:
        self.r, self.rows, self.sentences = r, rows, sentences
        self.words = _vocabulary(r, 12_000)
        # Frequent words are frequent, as in real text.
        self.weights = [1 / (rank + 3) for rank in range(len(self.words))]
        self.cumulative = _sums(self.weights)
        self.stock = [self.sentence() for _ in range(max(2_000, rows // 8))]
        self.short = sentences[1] <= 8

    def make(self) -> Corpus:
        found: list[tuple[str, str, str, int, str]] = []
        cluster = 0
        while len(found) < self.rows:
            if self.short and self.r.random() < 0.2:
                text, answer = self.arithmetic()
                question = f"arithmetic/{self.r.randrange(max(1, self.rows // 40))}"
            else:
                text = " ".join(self.r.choices(self.stock, k=self.r.randint(*self.sentences)))
                answer = self.r.choice("abcd")
                question = f"choice/{self.r.randrange(max(1, self.rows // 30))}"
            own = cluster
            cluster += 1
            found.append((text, question, answer, own, "base"))
            for _ in range(min(int(self.r.expovariate(1 / 3)), 60)):
                other, kind = self.perturbed(text)
                if kind == "conflict":
                    found.append((other, question, f"{answer}#{cluster}", cluster, kind))
                    cluster += 1
                else:
                    found.append((other, question, answer, own, kind))
        self.r.shuffle(found)
        columns = zip(*found[: self.rows], strict=True)
        return Corpus(*(list(column) for column in columns))

    def sentence(self) -> str:
        length = self.r.randint(8, 20)
        words = self.r.choices(self.words, cum_weights=self.cumulative, k=length)
        if self.r.random() < 0.5:
            words.insert(self.r.randrange(length), self.r.choice(list(POLARITY)))
        if self.r.random() < 0.4:
            words.insert(self.r.randrange(length), str(self.r.randint(2, 400)))
        text = " ".join(words)
        return text[0].upper() + text[1:] + self.r.choice((".", ".", ".", ";", ", then."))

    def arithmetic(self) -> tuple[str, str]:
        r = self.r
        name, thing = r.choice(NAMES), r.choice(THINGS)
        a, b, c = r.randint(5, 900), r.randint(2, 60), r.randint(2, 9)
        if r.random() < 0.5:
            total = (a + b) * c
            return (
                f"{name} starts with {a} {thing} and buys {b} more, so {name} has {a} + {b} = "
                f"{a + b} {thing}. Each of {c} friends has the same number of {thing}, so together "
                f"they have {a + b} * {c} = {total} {thing}. The answer is {total}."
            ), str(total)
        total = a * b - c
        return (
            f"There are {b} boxes with {a} {thing} each. In total there are {a} * {b} = {a * b} "
            f"{thing}. {name} gives away {c} of them, which leaves {a * b} - {c} = {total} "
            f"{thing}. The answer is {total}."
        ), str(total)

    def perturbed(self, text: str) -> tuple[str, str]:
        r, share = self.r, self.r.random()
        if share < 0.10:
            return text, "exact"
        if share < 0.30:
            if r.random() < 0.5:
                text = r.choice(BEFORE) + text
            if r.random() < 0.5:
                text += r.choice(AFTER)
            if r.random() < 0.3:
                text = text.replace(",", "")
            return (text.lower() if r.random() < 0.2 else text), "format"
        if share < 0.70:
            return self.edited(text, 0.03, 0.08), "light"
        if share < 0.85:
            return self.edited(text, 0.15, 0.30), "heavy"
        return self.conflicting(text), "conflict"

    def edited(self, text: str, low: float, high: float) -> str:
        r, words = self.r, text.split()
        for _ in range(max(1, int(len(words) * r.uniform(low, high)))):
            at = r.randrange(len(words))
            word = words[at].lower()
            # Edits keep numbers and polarity, and so the answer.
            if len(words) < 4 or any(c.isdigit() for c in word) or word.strip(".,;") in POLARITY:
                continue
            choice = r.random()
            if choice < 0.3:
                del words[at]
            elif choice < 0.5 and at + 1 < len(words) and not words[at + 1][0].isdigit():
                words[at], words[at + 1] = words[at + 1], words[at]
            else:
                words[at] = SYNONYMS.get(word) or r.choice(self.words)
        return " ".join(words)

    def conflicting(self, text: str) -> str:
        r = self.r
        numbers = list(re.finditer(r"\d+", text))
        if numbers:
            found = r.choice(numbers)
            other = str(int(found[0]) + r.choice((-2, -1, 1, 2, 10)))
            return text[: found.start()] + other + text[found.end() :]
        poles = [m for m in re.finditer("[A-Za-z]+", text) if m[0].lower() in POLARITY]
        if poles:
            found = r.choice(poles)
            return text[: found.start()] + POLARITY[found[0].lower()] + text[found.end() :]
        return f"{text} The answer is not ({r.choice('abcd')})."


def _vocabulary(r: random.Random, size: int) -> list[str]:
    common = sorted({*SYNONYMS, *SYNONYMS.values(), "is", "of", "to", "and", "in", "that", "it"})
    parts = [
        a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "ar", "en", "ist")
    ]
    made: dict[str, None] = {}
    while len(made) < size - len(common):
        made["".join(r.choices(parts, k=r.choice((1, 1, 2, 2, 2, 3))))] = None
    return [*common, *made]


def _sums(weights: list[float]) -> list[float]:
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums
