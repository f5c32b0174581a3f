"""Answers that cost something are asked for once, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from collegium.errors import RunError
from collegium.example import Example, Rationale
from collegium.pipeline.responses import ResponseStore

FINGERPRINT: dict[str, object] = {"model": "m"}


def example(number: int) -> Example:
    return Example(id=f"e{number}", task="t", split="train", question=f"q{number}")


def rationale(text: str) -> Rationale:
    return Rationale(teacher="a", text=text, parsed=True, prompt_hash="h")


def test_answers_survive(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResponseStore(path, FINGERPRINT).add([example(1), example(2)], [[rationale("x")], []])
    again = ResponseStore(path, FINGERPRINT)
    assert again.get(example(1)) == [rationale("x")]
    assert again.get(example(2)) == []
    assert again.get(example(3)) is None


def test_another_teacher_or_question_is_another_key(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResponseStore(path, FINGERPRINT).add([example(1)], [[rationale("x")]])
    assert ResponseStore(path, {"model": "n"}).get(example(1)) is None
    changed = example(1).model_copy(update={"question": "other"})
    assert ResponseStore(path, FINGERPRINT).get(changed) is None


def test_a_torn_last_line_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    store = ResponseStore(path, FINGERPRINT)
    store.add([example(1)], [[rationale("x")]])
    whole = path.read_bytes()
    store.add([example(2)], [[rationale("y")]])
    path.write_bytes(path.read_bytes()[:-7])
    again = ResponseStore(path, FINGERPRINT)
    assert again.get(example(1)) == [rationale("x")]
    assert again.get(example(2)) is None
    assert path.read_bytes() == whole
    again.add([example(2)], [[rationale("z")]])
    assert ResponseStore(path, FINGERPRINT).get(example(2)) == [rationale("z")]


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"key": 1\n{"key": "k", "rationales": []}\n')
    with pytest.raises(RunError, match=r"r\.jsonl, line 1"):
        ResponseStore(path, FINGERPRINT)
