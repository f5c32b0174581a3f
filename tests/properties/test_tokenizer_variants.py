"""Files that differ in one option from what models use: served exactly, or left to the crate."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizer_oracle import BYTES, Pair, split, strings, without_some_bytes
from tokenizers import models, pre_tokenizers, trainers

from collegium import Tokenizer
from collegium.errors import CheckpointError

Change = Callable[[dict[str, Any]], None]

O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CJK = "[一-龥\u3040-ゟ゠-ヿ]+"  # the second of the three patterns of DeepSeek V3


def model(**options: Any) -> Change:
    return lambda contents: contents["model"].update(options)


def pre_tokenizer(value: Any) -> Change:
    return lambda contents: contents.update(pre_tokenizer=value)


def normalizer(value: Any) -> Change:
    return lambda contents: contents.update(normalizer=value)


def sequence(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def metaspace(**options: Any) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "▁", **options}


def all_of(*changes: Change) -> Change:
    def change(contents: dict[str, Any]) -> None:
        for one in changes:
            one(contents)

    return change


TO_MARKS = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}

NATIVE: dict[str, tuple[str, Change]] = {
    "no dropout": ("gpt2", model(dropout=0.0)),
    "empty affixes": ("gpt2", model(continuing_subword_prefix="", end_of_word_suffix="")),
    "options that a whole alphabet leaves idle": (
        "gpt2",
        model(byte_fallback=True, fuse_unk=True, unk_token="<|endoftext|>"),
    ),
    "bytes without a token": ("gpt2", without_some_bytes),
    "bytes without a token, whole words": (
        "gpt2",
        all_of(without_some_bytes, model(ignore_merges=True)),
    ),
    "whole words": ("pythia", model(ignore_merges=True)),
    "untrimmed offsets": (
        "gpt2",
        pre_tokenizer({**BYTES, "use_regex": True, "trim_offsets": False}),
    ),
    "old Metaspace": (
        "mistral03",
        pre_tokenizer(metaspace(add_prefix_space=True, split=False)),
    ),
    "unknown characters": ("mistral03", model(byte_fallback=False, fuse_unk=False)),
    "unknown runs": ("mistral03", model(byte_fallback=False, fuse_unk=True)),
    "bytes before the unknown": ("mistral03", model(fuse_unk=True)),
}
"""Name -> the file, and what is changed in it."""

FALLBACK: dict[str, tuple[str, Change, str]] = {
    "bytes without a token, unknown": (
        "gpt2",
        all_of(without_some_bytes, model(unk_token="<|endoftext|>")),
        "byte 0x04 is no token",
    ),
    "bytes without a token, bytes": (
        "gpt2",
        all_of(without_some_bytes, model(byte_fallback=True)),
        "byte 0x04 is no token",
    ),
    "bytes without a token, NFC": ("pythia", without_some_bytes, "byte 0x04 is no token"),
    "bytes without a token, prefix space": (
        "gpt2",
        all_of(
            without_some_bytes,
            pre_tokenizer({**BYTES, "add_prefix_space": True, "use_regex": True}),
        ),
        "byte 0x04 is no token",
    ),
    "no regex": ("gpt2", pre_tokenizer(BYTES), "a pre-tokenizer that is not known"),
    "o200k": (
        "gpt2",
        pre_tokenizer(sequence(split(O200K), BYTES)),
        "a pattern for words that is not known",
    ),
    "DeepSeek": (
        "gpt2",
        pre_tokenizer(sequence(split(r"\p{N}{1,3}"), split(CJK), split(r"\s?\p{L}+"), BYTES)),
        "a pre-tokenizer that is not known",
    ),
    "words that go": (
        "gpt2",
        pre_tokenizer(sequence({**split(r"\s+"), "behavior": "Removed"}, BYTES)),
        "a pattern for words that is not known",
    ),
    "words between": (
        "gpt2",
        pre_tokenizer(sequence({**split(r"\w+"), "invert": True}, BYTES)),
        "a pattern for words that is not known",
    ),
    "lower case": ("gpt2", normalizer({"type": "Lowercase"}), "a normalizer other than NFC"),
    "compatibility": ("pythia", normalizer({"type": "NFKC"}), "a normalizer other than NFC"),
    "no unknown token": (
        "mistral03",
        model(byte_fallback=False, unk_token=None),
        "there is no unknown token",
    ),
    "byte fallback without a byte": (
        "mistral03",
        lambda contents: contents["model"]["vocab"].pop("<0xE3>"),
        "byte fallback without a token for every byte",
    ),
    "marks that are split": (
        "mistral03",
        pre_tokenizer(metaspace(add_prefix_space=True)),
        "words are split where merges join them",
    ),
    "another mark": (
        "mistral03",
        all_of(
            pre_tokenizer(metaspace(prepend_scheme="first", split=False) | {"replacement": "_"}),
            normalizer(None),
        ),
        "the pre-tokenizer is not that of SentencePiece BPE",
    ),
    "compatibility before marks": (
        "mistral03",
        all_of(
            pre_tokenizer(None),
            normalizer({"type": "Sequence", "normalizers": [{"type": "NFKC"}, TO_MARKS]}),
        ),
        "the normalizer is not that of SentencePiece BPE",
    ),
    "mark before the first word only": (
        "t5",
        pre_tokenizer(metaspace(prepend_scheme="first", split=True)),
        "the pre-tokenizer is not Metaspace with words",
    ),
    "no words": (
        "t5",
        pre_tokenizer(metaspace(prepend_scheme="always", split=False)),
        "the pre-tokenizer is not Metaspace with words",
    ),
    "Unigram in lower case": (
        "t5",
        normalizer({"type": "Lowercase"}),
        "the normalizer is not a character map alone",
    ),
}
"""Name -> the file, what is changed in it, and the reason that is given."""


def changed(path: Path, change: Change) -> dict[str, Any]:
    contents = json.loads(path.read_text("utf-8"))
    change(contents)
    return contents


@pytest.mark.parametrize("name", NATIVE)
def test_what_has_a_plan_is_exact(tokenizer_file, name):
    base, change = NATIVE[name]
    pair = Pair(changed(tokenizer_file(base), change))
    assert pair.ours.engine == "native", pair.ours.plan
    texts = [*strings(7, 800, pair.pieces), "\x04", "a\x04b", "\x04 \x06x\U00040000!\U00090000"]
    pair.check(texts, special=bool(len(name) % 2))


@pytest.mark.parametrize("name", FALLBACK)
def test_what_has_no_plan_says_why(tokenizer_file, name):
    base, change, reason = FALLBACK[name]
    pair = Pair(changed(tokenizer_file(base), change))
    assert pair.ours.engine == "tokenizers"
    assert reason in pair.ours.plan
    pair.check(list(strings(8, 100, pair.pieces)), lengths=False)


@pytest.mark.parametrize("base", ["gpt2", "mistral03"])
def test_dropout_is_never_native(tokenizer_file, base):
    contents = changed(tokenizer_file(base), model(dropout=0.5))
    ours = Pair(contents).ours
    assert ours.engine == "tokenizers"
    assert "drops merges at random" in ours.plan
    text = "considerable unavailability"
    found = {tuple(ours.encode_batch([text], False, False)[0]) for _ in range(20)}
    assert len(found) > 1


def trained(**affixes: str) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", **affixes))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>"], show_progress=False, **affixes
    )
    texts = ["the answer is the lower number", "another low answer and the newest number"]
    made.train_from_iterator(texts, trainer)
    return made


@pytest.mark.parametrize(
    "affixes",
    [
        {"end_of_word_suffix": "</w>"},
        {"continuing_subword_prefix": "##"},
        {"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>"},
    ],
    ids=lambda affixes: " ".join(affixes),
)
@pytest.mark.parametrize("words", ["Whitespace", "ByteLevel", "Metaspace"])
def test_affixes_are_never_native(affixes, words):
    contents = json.loads(trained(**affixes).to_str())
    if words == "ByteLevel":
        contents["pre_tokenizer"] = {**BYTES, "use_regex": True}
    elif words == "Metaspace":
        contents["pre_tokenizer"] = metaspace(prepend_scheme="first", split=False)
    pair = Pair(contents)
    assert pair.ours.engine == "tokenizers"
    assert "affixes" in pair.ours.plan or "where words begin or end" in pair.ours.plan
    pair.check(["the newest answer", "lower numbers", "", "x"], lengths=False)


FLAGS = ("single_word", "lstrip", "rstrip")


@pytest.mark.parametrize("base", ["gpt2", "pythia", "mistral03", "t5"])
@pytest.mark.parametrize("normalized", [False, True])
def test_every_flag_of_added_tokens(tokenizer_file, base, normalized):
    """A token with each combination of flags, in texts that touch it in every way."""
    contents = json.loads(tokenizer_file(base).read_text("utf-8"))
    size = len(contents["model"]["vocab"]) + len(contents["added_tokens"])
    for number, values in enumerate(itertools.product([False, True], repeat=3)):
        flags = dict(zip(FLAGS, values, strict=True))
        token = {"id": size + number, "content": f"Mark{number}", "normalized": normalized}
        contents["added_tokens"].append({**token, "special": bool(number % 3), **flags})
    pair = Pair(contents)
    # Unigram does not look for them in normalised text.
    assert (pair.ours.engine == "native") == (base != "t5" or not normalized)
    sides = ["", " ", "  ", "\n", "a", "_", "é", ".", "Mark1", "mark", "\u3000", "Mark7 Mark2"]
    around = list(itertools.product(sides, repeat=4))[::29]
    texts = [f"{a}{b}Mark{n}{c}{d}" for n in range(8) for a, b, c, d in around]
    pair.check(texts)
    pair.check(texts[::5], special=True)
    assert pair.undecided == 0


def test_bytes_without_a_token_go_to_the_next(tokenizer_file):
    pair = Pair(changed(tokenizer_file("gpt2"), without_some_bytes))
    for text, tokens, lengths in [
        ("a\x04b", ["a", "b"], [1, 2]),
        ("a \x04\x06!", ["a", "Ġ!"], [1, 4]),
        ("a\x04", ["a"], [2]),
        ("\x04\x06 a", ["Ġa"], [4]),
        ("\x04", [], []),
    ]:
        ids, _, found = pair.ours.encode_batch([text], False, True)[:3]
        assert [pair.ours.id_to_token(i) for i in ids.tolist()] == tokens
        assert found.tolist() == lengths


@pytest.mark.parametrize("base", ["gpt2", "mistral03", "t5"])
def test_truncated_files_are_refused(tokenizer_file, tmp_path, base):
    whole = tokenizer_file(base).read_bytes().rstrip()
    path = tmp_path / "tokenizer.json"
    for part in (0, 1, 100, len(whole) // 3, len(whole) - 1000, len(whole) - 1):
        path.write_bytes(whole[:part])
        with pytest.raises(CheckpointError, match="truncated") as caught:
            Tokenizer.from_file(path)
        assert str(path) in str(caught.value)
