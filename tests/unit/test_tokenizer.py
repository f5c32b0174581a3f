"""The tokenizer against the `tokenizers` package, on real files."""

from __future__ import annotations

import copy
import gzip
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from collegium import Encoded, Tokenizer
from collegium.errors import ArgumentError, CheckpointError

NAMES = ("pythia", "gpt2", "qwen3", "mistral03", "t5")
TEXTS = [
    "",
    " ",
    "The answer is 42.",
    "  two  spaces\tand a tab \r\n\r\nand lines\n",
    "naïve café, e\u0301 and ﬁ, ½ ㎏ ﷺ",
    "日本語の文章 😀👩‍👩‍👧 \u200d \ufeff",
    "</s> <s> <|endoftext|> <|im_start|> [INST] <extra_id_0>",
    "don't DON'T 1234567 3.14 x²",
    "a" * 300,
    "\x00\x07 control",
]


@cache
def load(path: Path) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    """The same file read by this package and by the oracle."""
    return Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))


def rows(encoded: Encoded) -> list[list[int]]:
    return [encoded[i].tolist() for i in range(len(encoded))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("special", [False, True])
def test_ids_are_those_of_the_tokenizers_package(tokenizer_file, name, special):
    ours, oracle = load(tokenizer_file(name))
    expected = [oracle.encode(text, add_special_tokens=special).ids for text in TEXTS]
    for lengths in (False, True):
        encoded = ours.encode_batch(TEXTS, add_special_tokens=special, byte_lengths=lengths)
        assert rows(encoded) == expected
        assert encoded.ids.dtype == np.uint32
        assert encoded.offsets.dtype == np.int64
        assert (encoded.byte_lengths is not None) == lengths
    assert ours.vocab_size == oracle.get_vocab_size()
    for ids in expected:
        assert ours.decode(ids) == oracle.decode(ids)
        plain = ours.decode(np.array(ids, dtype=np.int32), skip_special_tokens=False)
        assert plain == oracle.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("name", NAMES)
def test_real_rationales(tokenizer_file, shared, name):
    ours, oracle = load(tokenizer_file(name))
    found = sorted((shared / "data").rglob("*.jsonl.gz"))
    if not found:
        pytest.skip(f"no rationales in {shared / 'data'}")
    lines = []
    for path in found:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines += [line for line, _ in zip(file, range(25), strict=False)]
    encoded = ours.encode_batch(lines, byte_lengths=True)
    assert rows(encoded) == [oracle.encode(line, add_special_tokens=False).ids for line in lines]
    assert encoded.byte_lengths is not None
    sums = np.add.reduceat(encoded.byte_lengths, encoded.offsets[:-1])
    assert sums.tolist() == [len(line.encode()) for line in lines]


@pytest.mark.parametrize(
    ("name", "text", "tokens", "lengths"),
    [
        ("gpt2", "日本 a\n\n", ["æĹ", "¥", "æľ", "¬", "Ġa", "ĊĊ"], [2, 1, 2, 1, 2, 2]),
        ("gpt2", "😀x", ["ðŁĺ", "Ģ", "x"], [3, 1, 1]),
        # The file's post-processor trims spaces off the offsets; they are still the token's.
        ("pythia", "  hi   you", ["  ", "hi", "   ", "you"], [2, 2, 3, 3]),
        # NFC joins e + acute: no byte of the text is in the token, and both go to it.
        ("qwen3", "cafe\u0301 x", ["ca", "fÃ©", "Ġx"], [2, 4, 2]),
        ("mistral03", "ﷺ b", ["▁", "<0xEF>", "<0xB7>", "<0xBA>", "▁b"], [0, 1, 1, 1, 2]),
        ("t5", "  good   day \n", ["▁good", "▁day"], [6, 8]),
        ("t5", "㎏", ["▁kg"], [3]),
        ("t5", "\u200d", [], []),
    ],
)
def test_byte_lengths(tokenizer_file, name, text, tokens, lengths):
    ours, _ = load(tokenizer_file(name))
    encoded = ours.encode_batch([text], byte_lengths=True)
    assert [ours.id_to_token(i) for i in encoded.ids.tolist()] == tokens
    assert encoded.byte_lengths is not None
    assert encoded.byte_lengths.tolist() == lengths


def test_added_tokens_have_no_bytes(tokenizer_file):
    for name, ends in (("mistral03", (0, None)), ("t5", (-1, None))):
        ours, _ = load(tokenizer_file(name))
        encoded = ours.encode_batch(["good day"], add_special_tokens=True, byte_lengths=True)
        assert encoded.byte_lengths is not None
        assert encoded.byte_lengths[ends[0]] == 0
        assert (encoded.byte_lengths == 0).sum() == 1
        assert encoded.byte_lengths.sum() == 8
    # A text with no other tokens leaves its bytes to the last one.
    encoded = load(tokenizer_file("t5"))[0].encode_batch(["  "], True, True)
    assert encoded.byte_lengths is not None
    assert encoded.byte_lengths.tolist() == [2]


def test_the_tokens_of_a_vocabulary(tokenizer_file):
    ours, oracle = load(tokenizer_file("t5"))
    for token, id in list(oracle.get_vocab().items())[::501]:
        assert ours.token_to_id(token) == id
        assert ours.id_to_token(id) == token
    assert ours.token_to_id("no such token") is None
    assert ours.id_to_token(10**7) is None
    assert ours.id_to_token(-1) is None
    assert ours.id_to_token(2**40) is None
    assert ours.engine == "native"
    assert ours.with_fallback().engine == "tokenizers"


def test_copies_are_the_same(tokenizer_file):
    ours, _ = load(tokenizer_file("gpt2"))
    other = pickle.loads(pickle.dumps(ours))
    assert other.fingerprint == ours.fingerprint
    assert rows(other.encode_batch(TEXTS)) == rows(ours.encode_batch(TEXTS))
    assert copy.copy(ours) is ours
    assert copy.deepcopy([ours])[0] is ours
    assert ours.fingerprint[:12] in repr(ours)


def test_the_fingerprint_is_of_the_contents(tokenizer_file, tmp_path):
    path = tokenizer_file("gpt2")
    contents = json.loads(path.read_text("utf-8"))
    same = tmp_path / "same.json"
    same.write_text(json.dumps(dict(reversed(contents.items())), indent=1), "utf-8")
    assert Tokenizer.from_file(same).fingerprint == load(path)[0].fingerprint
    contents["added_tokens"][0]["lstrip"] = not contents["added_tokens"][0]["lstrip"]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(contents), "utf-8")
    assert Tokenizer.from_file(other).fingerprint != load(path)[0].fingerprint


def test_truncation_and_padding_of_the_file_are_left_out(tokenizer_file, tmp_path):
    oracle = tokenizers.Tokenizer.from_file(str(tokenizer_file("gpt2")))
    expected = [oracle.encode(text).ids for text in TEXTS]
    oracle.enable_truncation(3)
    oracle.enable_padding(length=5)
    oracle.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.from_pretrained(tmp_path)
    assert rows(ours.encode_batch(TEXTS)) == expected


def test_unusable_files(tmp_path, tokenizer_file):
    with pytest.raises(CheckpointError, match=r"gone\.json: cannot be read"):
        Tokenizer.from_file(tmp_path / "gone.json")
    with pytest.raises(CheckpointError, match="is a folder"):
        Tokenizer.from_file(tmp_path)
    with pytest.raises(CheckpointError, match="save_pretrained"):
        Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no such directory"):
        Tokenizer.from_pretrained(tmp_path / "gone")
    whole = tokenizer_file("gpt2").read_bytes()
    for contents, hint in [
        (whole[: len(whole) // 2], "truncated"),
        (b"", "truncated or empty"),
        (b"\x80\x04\x95", "not JSON"),
        (b'{"architectures": ["LlamaForCausalLM"]}', 'no "model"'),
        (b'{"model": {"type": "Nonsense"}}', "not a usable"),
    ]:
        path = tmp_path / "tokenizer.json"
        path.write_bytes(contents)
        with pytest.raises(CheckpointError, match=hint) as caught:
            Tokenizer.from_file(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "hint"),
    [
        ("a single string", "put it into a list"),
        (["a", None], r"texts\[1\] is null"),
        (["a", 3], r"texts\[1\]: expected a string or None, found int"),
        (["a", "b\ud800"], r"texts\[1\] is not valid Unicode"),
        (7, "found int"),
    ],
)
def test_unusable_texts(tokenizer_file, texts, hint):
    ours, _ = load(tokenizer_file("gpt2"))
    with pytest.raises(ArgumentError, match=hint):
        ours.encode_batch(texts)


@pytest.mark.parametrize(
    ("ids", "hint"),
    [
        ([5, 10**7], r"ids\[1\] = 10000000 is no token"),
        ([5, -1], r"ids\[1\] = -1 cannot"),
        ([2**40], r"ids\[0\]"),
        ([1, "x"], r"ids\[1\] = 'x'"),
        ([[1], [2]], "2 dimensions"),
        ("abc", "single string"),
    ],
)
def test_unusable_ids(tokenizer_file, ids, hint):
    ours, _ = load(tokenizer_file("gpt2"))
    with pytest.raises(ArgumentError, match=hint):
        ours.decode(ids)


def test_one_tokenizer_in_many_threads(tokenizer_file):
    ours, _ = load(tokenizer_file("gpt2"))
    texts = [f"{i} {text}" for i in range(200) for text in TEXTS]
    expected = ours.encode_batch(texts).ids
    same = []

    def work() -> None:
        same.append(bool(np.array_equal(ours.encode_batch(texts).ids, expected)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 4


COUNTING = """
import sys
from collegium import Tokenizer
texts = [f"{i} {text}" for i in range(2000) for text in ("The answer is 42. " * 4, "日本語 😀")]
encoded = Tokenizer.from_file(sys.argv[1]).encode_batch(texts, byte_lengths=True)
import hashlib
arrays = (encoded.ids, encoded.offsets, encoded.byte_lengths)
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def test_the_number_of_threads_changes_nothing(tokenizer_file):
    path = str(tokenizer_file("gpt2"))
    digests = {
        subprocess.run(
            [sys.executable, "-c", COUNTING, path],
            env={**os.environ, "COLLEGIUM_NUM_THREADS": count},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for count in ("1", "2", "5")
    }
    assert len(digests) == 1


def test_a_bad_number_of_threads_is_refused(tokenizer_file):
    run = subprocess.run(
        [sys.executable, "-c", COUNTING, str(tokenizer_file("gpt2"))],
        env={**os.environ, "COLLEGIUM_NUM_THREADS": "many"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert 'COLLEGIUM_NUM_THREADS="many": expected a number of threads' in run.stderr


FORKING = """
import multiprocessing, sys
from collegium import Tokenizer
ours = Tokenizer.from_file(sys.argv[1])
texts = ["The answer is 42. " * 20] * 2000
expected = ours.encode_batch(texts).ids.sum()  # starts the thread pool
def work(_):
    return ours.encode_batch(texts).ids.sum()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, [0, 1]) == [expected] * 2
print("done")
"""


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_forked_workers_do_not_hang(tokenizer_file):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(tokenizer_file("gpt2"))],
        env={**os.environ, "COLLEGIUM_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.stdout.strip() == "done", run.stderr
