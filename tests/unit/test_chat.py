"""Students with a chat template: text as the template writes it, ids and loss edges ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collegium.errors import ArgumentError, CheckpointError, DataError
from collegium.example import Example, Rationale
from collegium.objectives.chat import ChatTurn, chat_turn, check_turn
from collegium.objectives.encode import encode_examples
from collegium.objectives.formats import PromptFormat
from collegium.objectives.prompts import SpecialIds, encode_prompts
from collegium.tokenizer import Tokenizer

TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
EXAMPLE = Example(
    id="a", task="t", split="train", question="Tom has 5 apples, buys 3.\nHow many?", answer="8",
    rationales=[
        Rationale(teacher="palm", sample=0, text="5 + 3 = 8.", parsed=True, prompt_hash="-")
    ],
)  # fmt: skip
OBJECTIVES = ("label", "rationale:palm")


@pytest.fixture
def tiny(tmp_path: Path) -> Any:
    """A byte-level tokenizer with a template, made here."""
    from tokenizers import Tokenizer as Raw
    from tokenizers import decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    vocab = {t: i for i, t in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    raw = Raw(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=special[0], eos_token=special[2],
        additional_special_tokens=special[1:2],
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path / "tiny")
    tokenizer.name_or_path = str(tmp_path / "tiny")
    return tokenizer


@pytest.fixture
def smollm2() -> Any:
    import os

    from transformers import AutoTokenizer

    root = Path(__file__).parents[2]
    named = os.environ.get("COLLEGIUM_TEST_MODELS")
    folders = [Path(named)] if named else [root.parent / "models" / "hf"]
    for folder in folders:
        if (folder / "smollm2-135m-instruct" / "tokenizer.json").exists():
            return AutoTokenizer.from_pretrained(folder / "smollm2-135m-instruct")
    pytest.skip("no smollm2-135m-instruct in COLLEGIUM_TEST_MODELS or beside the checkout")


@pytest.fixture(params=["tiny", "smollm2"])
def student(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def special(student: Any) -> SpecialIds:
    # A BOS would be put in front of plain prompts; the template writes what it needs itself.
    return SpecialIds(eos=student.eos_token_id, pad=student.pad_token_id or 0, bos=7)


@pytest.mark.parametrize("position", ["before", "after"])
def test_ids_mask_and_eos_are_those_of_the_template(student: Any, position: Any) -> None:
    tokenizer = Tokenizer.from_pretrained(student.name_or_path)
    plain = PromptFormat(marker_position=position).resolve(OBJECTIVES)
    form = plain.model_copy(update={"chat": chat_turn(student)})
    rows, _ = encode_examples(
        [EXAMPLE], tokenizer, form, OBJECTIVES, special(student),
        input_text=lambda example: example.question,
    )  # fmt: skip
    for row, answer in zip(rows, ["8", "5 + 3 = 8."], strict=True):
        message = {"role": "user", "content": plain.prompt(row.objective, EXAMPLE.question)}
        prompt = student.apply_chat_template(
            [message], tokenize=True, add_generation_prompt=True, return_dict=False
        )
        whole = student.apply_chat_template(
            [message, {"role": "assistant", "content": answer}], tokenize=True, return_dict=False
        )
        first = row.edge_src[0] + 1
        assert row.input_ids[:first] == prompt
        # Exactly the answer and the EOS are learnt; what the template writes behind it is not.
        learnt = row.input_ids[:first] + row.edge_target
        assert learnt == whole[: len(learnt)]
        assert row.edge_target[-1] == student.eos_token_id
        assert row.edge_target.count(student.eos_token_id) == 1
        assert student.decode(row.edge_target[:-1]) == answer
        assert student.decode(whole[len(learnt) :]).strip() == ""
        asked, cut = encode_prompts(
            [EXAMPLE.question], row.objective, form, tokenizer, special(student), kind="decoder",
            max_prompt_tokens=512,
        )  # fmt: skip
        assert asked == [prompt]
        assert cut == [False]


@pytest.mark.parametrize("position", ["before", "after"])
def test_a_cut_prompt_keeps_the_turn_and_the_marker(student: Any, position: Any) -> None:
    tokenizer = Tokenizer.from_pretrained(student.name_or_path)
    turn = chat_turn(student)
    form = PromptFormat(marker_position=position, chat=turn)
    room = len(tokenizer.encode_batch([turn.before + "predict:" + turn.after]).ids) + 12
    (ids,), cut = encode_prompts(
        ["word " * 300 + "the end"], "label", form, tokenizer, special(student), kind="decoder",
        max_prompt_tokens=room,
    )  # fmt: skip
    text = tokenizer.decode(ids, skip_special_tokens=False)
    assert cut == [True]
    assert len(ids) == room
    assert text.startswith(turn.before + ("predict:" if position == "before" else ""))
    assert text.endswith(("the end" if position == "before" else "the end predict:") + turn.after)
    with pytest.raises(ArgumentError, match="with the chat turn"):
        encode_prompts(
            ["x"], "label", form, tokenizer, special(student), kind="decoder",
            max_prompt_tokens=room - 12,
        )  # fmt: skip


def test_the_template_is_recorded(tiny: Any) -> None:
    import hashlib

    turn = chat_turn(tiny)
    assert turn.template == hashlib.sha256(TEMPLATE.encode()).hexdigest()
    assert turn.before == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
    assert turn.after == "<|im_end|>\n<|im_start|>assistant\n"
    form = PromptFormat(chat=turn)
    assert PromptFormat(**json.loads(form.model_dump_json())) == form
    assert form.resolve(OBJECTIVES).chat == turn


@pytest.mark.parametrize(
    ("template", "eos", "hint"),
    [
        (None, None, "no chat template"),
        ("{{ raise_exception('no') }}", None, "fails on a user's message"),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", None, "as it is"),
        ("{% for m in messages %}{{ m.content }} {{ m.content }}{% endfor %}", None, "once"),
        (TEMPLATE.replace("m['content']", "m['content'] | replace('<b>', '')"), None, "alters"),
        (TEMPLATE, "<|pad|>", "the student would not stop"),
    ],
)
def test_templates_that_cannot_be_used(
    tiny: Any, template: str | None, eos: str | None, hint: str
) -> None:
    tiny.chat_template = template
    if eos is not None:
        tiny.eos_token = eos
    with pytest.raises((CheckpointError, DataError), match=hint):
        chat_turn(tiny)


def test_prompts_that_the_template_alters_are_named(tiny: Any) -> None:
    tiny.chat_template = TEMPLATE.replace("m['content']", "m['content'] | replace('/think', '')")
    turn = chat_turn(tiny)
    check_turn(tiny, turn, [("a", "fine")])
    with pytest.raises(DataError, match=r"example 'b'.*alters the prompt"):
        check_turn(tiny, turn, [("a", "fine"), ("b", "please /think")])


def test_encoder_decoder_students_have_no_turns(tiny: Any) -> None:
    turn = ChatTurn(before="a", after="b", template="-")
    with pytest.raises(ArgumentError, match="decoder-only"):
        encode_prompts(
            ["x"], "label", PromptFormat(chat=turn), Tokenizer.from_pretrained(tiny.name_or_path),
            SpecialIds(eos=1, pad=0), kind="encoder-decoder", max_prompt_tokens=99,
        )  # fmt: skip
