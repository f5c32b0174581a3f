"""Ids and byte lengths on adversarial strings, against the `tokenizers` package."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collegium import Tokenizer

NAMES = ("pythia", "gpt2", "qwen3", "mistral03", "t5")
BYTE_LEVEL = ("pythia", "gpt2", "qwen3")
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@cache
def load(path: Path) -> tuple[Tokenizer, tokenizers.Tokenizer, list[str]]:
    oracle = tokenizers.Tokenizer.from_file(str(path))
    added = [token.content for token in oracle.get_added_tokens_decoder().values()]
    vocabulary = sorted(oracle.get_vocab())
    pieces = [*added[:40], *vocabulary[:: max(1, len(vocabulary) // 400)]]
    return Tokenizer.from_file(path), oracle, pieces


def strings(pieces: list[str]) -> st.SearchStrategy[str]:
    """Mixtures of Unicode, pieces of the vocabulary, spaces, runs and marks."""
    part = st.one_of(
        st.text(max_size=8),
        st.sampled_from(pieces),
        st.sampled_from(
            [" ", "  ", "\n", "\r\n\t", "\u00a0", "\u3000", "▁", "Ġ", "\u200d", "\ufeff"]
        ),
        st.sampled_from(["e\u0301", "\u0301", "각", "\u1100\u1161\u11a8"]),
        st.sampled_from(["ﬁ", "ﷺ", "½", "😀", "👩‍👧"]),
        st.sampled_from(["don't", "I'LL", "1234567", "3.14", "A", "word", "İ", "ſ"]),
        st.builds(lambda c, n: c * n, st.sampled_from("a =0\n日😀"), st.integers(1, 60)),
    )
    return st.lists(part, max_size=7).map("".join)


@pytest.mark.parametrize("name", NAMES)
def test_ids_and_sums(tokenizer_file, name):
    ours, oracle, pieces = load(tokenizer_file(name))

    @SETTINGS
    @given(st.lists(strings(pieces), min_size=1, max_size=12), st.booleans())
    def check(texts, special):
        encoded = ours.encode_batch(texts, add_special_tokens=special, byte_lengths=True)
        fast = ours.encode_batch(texts, add_special_tokens=special)
        assert fast.ids.tolist() == encoded.ids.tolist()
        for row, text in enumerate(texts):
            expected = oracle.encode(text, add_special_tokens=special)
            assert encoded[row].tolist() == expected.ids
            start, end = encoded.offsets[row : row + 2]
            lengths = encoded.byte_lengths[start:end].tolist()
            assert not expected.ids or sum(lengths) == len(text.encode())
            if not all(expected.special_tokens_mask):
                added = zip(lengths, expected.special_tokens_mask, strict=True)
                assert all(length == 0 for length, mask in added if mask)
            plain = ours.decode(expected.ids, skip_special_tokens=False)
            assert plain == oracle.decode(expected.ids, skip_special_tokens=False)

    check()


def byte_alphabet() -> dict[str, int]:
    """GPT-2's characters for bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    codes = plain + [256 + i for i in range(len(rest))]
    return {chr(code): byte for code, byte in zip(codes, plain + rest, strict=True)}


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_byte_level_tokens_are_exact(tokenizer_file, name):
    ours, oracle, pieces = load(tokenizer_file(name))
    added = {token.content for token in oracle.get_added_tokens_decoder().values()}
    alphabet = byte_alphabet()

    @SETTINGS
    @given(strings(pieces).filter(lambda text: unicodedata.is_normalized("NFC", text)))
    def check(text):
        encoded = ours.encode_batch([text], byte_lengths=True)
        expected = []
        for token in (ours.id_to_token(i) for i in encoded.ids.tolist()):
            whole = token.encode() if token in added else bytes(alphabet[c] for c in token)
            expected.append(len(whole))
        assert encoded.byte_lengths.tolist() == expected
        assert ours.decode(encoded.ids, skip_special_tokens=False) == text

    check()


@pytest.mark.parametrize("name", ("mistral03", "t5"))
def test_ordinary_text_follows_the_offsets(tokenizer_file, name):
    ours, oracle, _ = load(tokenizer_file(name))
    words = st.sampled_from(["Hello", "the", "answer", "naïve", "42", "(x)", "don't", "Ünder"])
    gaps = st.sampled_from([" ", "  ", "     "])

    @SETTINGS
    @given(st.lists(st.tuples(gaps, words), min_size=1, max_size=12), st.sampled_from(["", " "]))
    def check(parts, end):
        text = "".join(gap + word for gap, word in parts) + end
        encoded = ours.encode_batch([text], byte_lengths=True)
        offsets = oracle.encode(text, add_special_tokens=False).offsets
        done, expected = 0, []
        for _, stop in offsets:
            expected.append(len(text[done:stop].encode()))
            done = max(done, stop)
        expected[-1] += len(text[done:].encode())
        assert encoded.byte_lengths.tolist() == expected

    check()
