"""Encoding: prompts, targets, edges, truncation, counts; real tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collegium.errors import ArgumentError
from collegium.example import Example, Rationale
from collegium.objectives.encode import encode_examples
from collegium.objectives.formats import PromptFormat
from collegium.objectives.prompts import SpecialIds, encode_prompts
from collegium.tokenizer import Tokenizer

OBJECTIVES = ("label", "rationale:palm", "rationale:flan")
SPECIAL = SpecialIds(eos=0, pad=1, decoder_start=1)


def rationale(teacher: str, text: str, answer: str | None = None, sample: int = 0) -> Rationale:
    return Rationale(
        teacher=teacher, sample=sample, text=text, answer=answer, parsed=True, prompt_hash="-"
    )


EXAMPLES = [
    Example(
        id="a", task="t", split="train", question="Tom has 5 apples, buys 3. How many?",
        answer="8", rationales=[
            rationale("palm", "8 in all.", "8", sample=1),
            rationale("palm", "5 + 3 = 8.", "8"),
            rationale("flan", " He has more. ", "9"),
        ],
    ),
    Example(
        id="b", task="t", split="train", question="Ann has 7 pens, loses 2. How many?",
        answer=None, rationales=[rationale("palm", "")],
    ),
]  # fmt: skip


def question(example: Example) -> str:
    return example.question


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Callable[[str], Path]) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file("pythia"))


def texts(tokenizer: Tokenizer, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False)


def test_decoder_sequences(tokenizer: Tokenizer) -> None:
    rows, counts = encode_examples(
        EXAMPLES, tokenizer, PromptFormat(), OBJECTIVES, SPECIAL, input_text=question
    )
    assert [(row.example_id, row.objective) for row in rows] == [
        ("a", "label"), ("a", "rationale:palm"), ("a", "rationale:palm"), ("a", "rationale:flan"),
    ]  # fmt: skip
    label, palm, second, flan = rows
    prompt = "predict: Tom has 5 apples, buys 3. How many?\n"
    assert texts(tokenizer, label.input_ids) == prompt + "8"
    assert texts(tokenizer, label.edge_target) == "8<|endoftext|>"
    assert texts(tokenizer, palm.edge_target) == "5 + 3 = 8.<|endoftext|>"
    assert texts(tokenizer, second.edge_target) == "8 in all.<|endoftext|>"
    assert texts(tokenizer, flan.input_ids).startswith("explain flan: Tom has")
    for row in rows:
        # The first edge predicts the first target token from the prompt's last token.
        first = row.edge_src[0]
        assert row.edge_src == list(range(first, len(row.input_ids)))
        assert row.input_ids[first + 1 :] == row.edge_target[:-1]
        assert row.edge_weight == [1.0] * len(row.edge_src)
    found = counts.to_dict()
    assert found["label"]["dropped"] == {"no answer": 1}
    assert found["rationale:palm"]["dropped"] == {"empty target": 1}
    assert found["rationale:flan"]["dropped"] == {"no rationale": 1}
    assert found["rationale:palm"]["sequences"] == 2
    assert found["label"]["target_tokens"] == 2
    assert found["label"]["input_tokens"] == len(label)


@pytest.mark.parametrize("name", ["pythia", "gpt2", "qwen3", "mistral03"])
@pytest.mark.parametrize("position", ["before", "after"])
def test_the_prompt_at_inference_is_the_training_prefix(
    tokenizer_file: Callable[[str], Path], name: str, position: str
) -> None:
    tokenizer = Tokenizer.from_file(tokenizer_file(name))
    special = SpecialIds(eos=2, pad=0, bos=1)
    form = PromptFormat(marker_position=position).resolve(OBJECTIVES)  # type: ignore[arg-type]
    rows, _ = encode_examples(
        EXAMPLES[:1], tokenizer, form, OBJECTIVES, special, input_text=question
    )
    for row in rows:
        (prompt,), _ = encode_prompts(
            [EXAMPLES[0].question], row.objective, form, tokenizer, special, kind="decoder",
            max_prompt_tokens=512,
        )  # fmt: skip
        assert prompt[0] == 1
        assert row.input_ids[: row.edge_src[0] + 1] == prompt
        if name != "mistral03":  # its pieces carry a leading space of their own
            whole = form.prompt(row.objective, EXAMPLES[0].question, "decoder")
            target = texts(tokenizer, row.edge_target[:-1])
            assert tokenizer.encode_batch([whole + target]).ids.tolist() == [
                *row.input_ids[1:], row.edge_target[-2]
            ][: len(row.input_ids) - 1]  # fmt: skip


def test_after_form_shares_the_question_tokens(tokenizer: Tokenizer) -> None:
    form = PromptFormat(marker_position="after")
    rows, _ = encode_examples(
        EXAMPLES[:1], tokenizer, form, OBJECTIVES, SPECIAL, input_text=question
    )
    alone = tokenizer.encode_batch([EXAMPLES[0].question]).ids.tolist()
    assert all(row.input_ids[: len(alone)] == alone for row in rows)


def test_encoder_decoder_sequences(tokenizer_file: Callable[[str], Path]) -> None:
    tokenizer = Tokenizer.from_file(tokenizer_file("t5"))
    special = SpecialIds(eos=1, pad=0, decoder_start=0)
    rows, counts = encode_examples(
        EXAMPLES, tokenizer, PromptFormat(), ("label", "rationale:palm"), special,
        input_text=question, kind="encoder-decoder",
    )  # fmt: skip
    label = rows[0]
    assert label.encoder_ids is not None
    assert label.encoder_ids[-1] == 1
    assert texts(tokenizer, label.encoder_ids[:-1]) == f"predict: {EXAMPLES[0].question}"
    assert label.input_ids[0] == 0
    assert label.input_ids[1:] == label.edge_target[:-1]
    assert label.edge_src == list(range(len(label.edge_target)))
    assert label.edge_target[-1] == 1
    assert rows[1].encoder_ids is not None
    assert texts(tokenizer, rows[1].encoder_ids).startswith("explain: Tom")
    assert counts.objectives["label"].input_tokens == len(label) + len(label.encoder_ids)
    with pytest.raises(ArgumentError, match="decoder_start"):
        encode_examples(
            EXAMPLES, tokenizer, PromptFormat(), ("label",), SpecialIds(eos=1, pad=0),
            input_text=question, kind="encoder-decoder",
        )  # fmt: skip


@pytest.mark.parametrize("position", ["before", "after"])
def test_truncation_keeps_the_marker_and_the_end_of_the_question(
    tokenizer: Tokenizer, position: str
) -> None:
    form = PromptFormat(marker_position=position)  # type: ignore[arg-type]
    rows, counts = encode_examples(
        EXAMPLES[:1], tokenizer, form, OBJECTIVES, SPECIAL, input_text=question,
        max_prompt_tokens=11, max_target_tokens=4,
    )  # fmt: skip
    label, palm = rows[:2]
    prompt = texts(tokenizer, label.input_ids[: label.edge_src[0] + 1])
    assert label.edge_src[0] + 1 == 11
    assert "predict:" in prompt
    assert prompt.endswith("How many?\n" if position == "before" else "How many? predict:\n")
    assert "Tom" not in prompt
    assert len(palm.edge_target) == 4
    assert palm.edge_target[-1] != SPECIAL.eos
    assert label.edge_target[-1] == SPECIAL.eos
    assert counts.objectives["label"].prompts_truncated == 1
    assert counts.objectives["label"].targets_truncated == 0
    assert counts.objectives["rationale:palm"].targets_truncated == 2
    with pytest.raises(ArgumentError, match="no room for a question beside the marker"):
        encode_examples(
            EXAMPLES, tokenizer, form, OBJECTIVES, SPECIAL, input_text=question, max_prompt_tokens=4
        )


def test_conclusions_state_the_teachers_own_answer(tokenizer: Tokenizer) -> None:
    form = PromptFormat(conclusion=True)

    def conclude(example: Example, answer: str) -> str:
        return f"The answer is {answer}."

    rows, _ = encode_examples(
        EXAMPLES, tokenizer, form, OBJECTIVES, SPECIAL, input_text=question, conclusion=conclude
    )
    found = {row.objective: texts(tokenizer, row.edge_target[:-1]) for row in rows}
    assert found["rationale:flan"] == "He has more. The answer is 9."
    assert found["rationale:palm"] == "8 in all. The answer is 8."
    assert found["label"] == "8"
    with pytest.raises(ArgumentError, match="conclusion"):
        encode_examples(EXAMPLES, tokenizer, form, OBJECTIVES, SPECIAL, input_text=question)


def test_labels_of_another_source(tokenizer: Tokenizer) -> None:
    """With a teacher's labels gold is never read."""
    rows, _ = encode_examples(
        EXAMPLES, tokenizer, PromptFormat(), ("label",), SPECIAL, input_text=question,
        label=lambda example: "42",
    )  # fmt: skip
    assert [texts(tokenizer, row.edge_target[:-1]) for row in rows] == ["42", "42"]
