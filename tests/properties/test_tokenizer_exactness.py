"""The engine against the `tokenizers` package, on everything that could tell them apart.

Ids are compared with the package, byte lengths with the fallback of the core, which takes them
from the package's offsets. FAMILIES names real files and variants made of them.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizer_oracle import BYTES, Pair, split, strings, without_some_bytes

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def llama3(contents: dict[str, Any]) -> None:
    sequence = [split(LLAMA3), BYTES]
    contents["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": sequence}
    contents["model"]["ignore_merges"] = True


def digits(contents: dict[str, Any]) -> None:
    sequence = [
        {"type": "Digits", "individual_digits": True},
        {**BYTES, "use_regex": True},
    ]
    contents["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": sequence}


def prefix_space(contents: dict[str, Any]) -> None:
    contents["pre_tokenizer"] = {**BYTES, "add_prefix_space": True, "use_regex": True}


def flags(contents: dict[str, Any]) -> None:
    """Added tokens with every flag, some of them pieces of words or of one another."""
    names = ["yes", "no way", "<m>", "<m>x", "_", "é", " ", "   ", "\n", "e\u0301", "the"]
    size = max(contents["model"]["vocab"].values()) + len(contents["added_tokens"])
    for index, name in enumerate(names):
        for bit, prefix in enumerate(["", "#", "##"]):
            code = index * 7 + bit * 3
            contents["added_tokens"].append(
                {
                    "id": size + 3 * index + bit + 1,
                    "content": prefix + name,
                    "single_word": bool(code & 1),
                    "lstrip": bool(code & 2),
                    "rstrip": bool(code & 4),
                    # Two tokens that NFC makes one would be for the hash map's order to choose.
                    "normalized": bool(code & 8) and name != "e\u0301",
                    "special": False,
                }
            )


def llama2(contents: dict[str, Any]) -> None:
    to_mark = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    steps = [{"type": "Prepend", "prepend": "▁"}, to_mark]
    contents["normalizer"] = {"type": "Sequence", "normalizers": steps}
    contents["pre_tokenizer"] = None


def gemma(contents: dict[str, Any]) -> None:
    """Nothing put before, merges across a mark, added tokens of spaces and line feeds."""
    contents["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    contents["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"String": " "},
        "behavior": "MergedWithPrevious",
        "invert": False,
    }
    vocab, merges = contents["model"]["vocab"], contents["model"]["merges"]
    for left, right in [("▁<", "/"), ("<", "/"), ("▁", "</"), (">", "▁</"), ("é", "▁t")]:
        vocab.setdefault(left + right, len(vocab))
        merges.append([left, right] if isinstance(merges[0], list) else f"{left} {right}")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for name in ["\n\n", "\n\n\n", "▁▁", "▁▁▁", "<table>"]:
        vocab.setdefault(name, len(vocab))
        token = {"id": vocab[name], "content": name, "special": False, **flags}
        contents["added_tokens"].append(token)


def llama2_normalized(contents: dict[str, Any]) -> None:
    """Added tokens are looked for after spaces have become marks."""
    llama2(contents)
    for token in contents["added_tokens"]:
        token["normalized"] = True


def mistral_normalized(contents: dict[str, Any]) -> None:
    for token in contents["added_tokens"]:
        token["normalized"] = token["id"] % 2 == 0


def whole_pieces(contents: dict[str, Any]) -> None:
    contents["model"]["ignore_merges"] = True
    contents["pre_tokenizer"]["prepend_scheme"] = "always"


def unknown_token(contents: dict[str, Any]) -> None:
    contents["model"]["byte_fallback"] = False
    contents["pre_tokenizer"]["prepend_scheme"] = "never"


def white_space(contents: dict[str, Any]) -> None:
    """As the files of T5 and XLM-R were first written."""
    contents["normalizer"] = contents["normalizer"]["normalizers"][0]
    pre_tokenizers = [{"type": "WhitespaceSplit"}, contents["pre_tokenizer"]]
    contents["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": pre_tokenizers}


def unigram_bytes(contents: dict[str, Any]) -> None:
    vocab = contents["model"]["vocab"]
    vocab += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    added = [token for token in contents["added_tokens"] if token["id"] < 32000]
    contents["added_tokens"] = added
    contents["model"]["byte_fallback"] = True


FAMILIES: dict[str, tuple[str, Callable[[dict[str, Any]], None] | None]] = {
    "pythia": ("pythia", None),
    "gpt2": ("gpt2", None),
    "qwen3": ("qwen3", None),
    "llama3": ("gpt2", llama3),
    "digits": ("gpt2", digits),
    "prefix-space": ("gpt2", prefix_space),
    "some-bytes": ("gpt2", without_some_bytes),
    "flags": ("pythia", flags),
    "mistral": ("mistral03", None),
    "llama2": ("mistral03", llama2),
    "llama2-normalized": ("mistral03", llama2_normalized),
    "mistral-normalized": ("mistral03", mistral_normalized),
    "gemma": ("mistral03", gemma),
    "whole-pieces": ("mistral03", whole_pieces),
    "unknown-token": ("mistral03", unknown_token),
    "t5": ("t5", None),
    "white-space": ("t5", white_space),
    "unigram-bytes": ("t5", unigram_bytes),
}
"""Name -> the file, and what is changed in it. All of them have a plan."""


@pytest.fixture(scope="module")
def pair(tokenizer_file) -> Iterator[Callable[[str], Pair]]:
    made: dict[str, Pair] = {}

    def make(name: str) -> Pair:
        if name not in made:
            made.clear()
            base, change = FAMILIES[name]
            contents = json.loads(tokenizer_file(base).read_text("utf-8"))
            if change:
                change(contents)
            made[name] = Pair(contents)
        return made[name]

    yield make
    made.clear()


def batches(texts: Iterator[str], size: int = 5000) -> Iterator[list[str]]:
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def check_strings(pair: Pair, seed: int, count: int) -> None:
    for index, batch in enumerate(batches(strings(seed, count, pair.pieces))):
        pair.check(batch, special=index % 2 == 1)
    assert pair.undecided <= count // 1000


def characters(step: int) -> list[str]:
    """Every character; of the planes without any, every `step`-th."""
    codes = [*range(0xD800), *range(0xE000, 0x32400), *range(0xE0000, 0xE1000)]
    rest = [*range(0x32400, 0xE0000, step), *range(0xE1000, 0x110000, step)]
    return [chr(code) for code in [*codes, *rest]]


def check_characters(pair: Pair, step: int) -> None:
    found = characters(step)
    for first in range(0, len(found), 20000):
        part = found[first : first + 20000]
        pair.check(part, lengths=False)
        rows = [part[i : i + 40] for i in range(0, len(part), 40)]
        pair.check(["".join(f"a{c}b" for c in row) for row in rows])
        pair.check(["".join(f" {c} '{c}e 1{c}." for c in row) for row in rows])


@pytest.mark.parametrize("name", FAMILIES)
def test_strings(pair, name):
    assert pair(name).ours.engine == "native"
    check_strings(pair(name), 1, 2000)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_first_character_that_goes_away(pair, name):
    """It displaces the offsets of the whole text in the oracle where a map removes it."""
    starts = ["\x7f", "\x08", "\x08\x7f", " \x08", "\u200b", "\ufeff"]
    pair(name).check([f"{start}V{middle} G h é i" for start in starts for middle in ("", "'x")])


@pytest.mark.ci
@pytest.mark.parametrize("name", FAMILIES)
def test_many_strings(pair, name):
    check_strings(pair(name), 2, 100_000)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_million_strings(pair, name):
    check_strings(pair(name), 3, 1_000_000)


@pytest.mark.ci
@pytest.mark.parametrize("name", FAMILIES)
def test_every_character(pair, name):
    check_characters(pair(name), 97)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_code_point(pair, name):
    check_characters(pair(name), 1)


def corpus(folder: Path, every: int = 1) -> list[str]:
    """All strings of the files of questions and rationales, or each `every`-th."""
    found: dict[str, None] = {}

    def collect(value: Any) -> None:
        if isinstance(value, str):
            found[value] = None
        elif isinstance(value, dict):
            for entry in value.values():
                collect(entry)
        elif isinstance(value, list):
            for entry in value:
                collect(entry)

    for path in sorted(folder.rglob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                collect(json.loads(line))
    return list(found)[::every]


@pytest.mark.ci
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [n for n, (base, change) in FAMILIES.items() if change is None])
def test_every_real_text(pair, shared, name):
    if not (texts := corpus(shared / "data")):
        pytest.skip(f"no rationales in {shared / 'data'}")
    for number, first in enumerate(range(0, len(texts), 5000)):
        pair(name).check(texts[first : first + 5000], lengths=number % 5 == 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cache_changes_nothing(pair, name):
    texts = list(strings(4, 1500, pair(name).pieces)) * 2
    expected = [a.tolist() for a in pair(name).ours.encode_batch(texts, False, True)[:3]]
    for words in (0, 4, 64):
        other = pair(name).ours.with_cache(words)
        assert [a.tolist() for a in other.encode_batch(texts, False, True)[:3]] == expected


LONG = """
import sys, hashlib, gzip
from collegium._rust import Tokenizer
texts = sys.stdin.read().split("\\0")
ours = Tokenizer.from_file(sys.argv[1])
for special in (False, True):
    found = ours.encode_batch(texts, special, True)[:3]
    print(hashlib.sha256(b"".join(a.tobytes() for a in found)).hexdigest())
"""


@pytest.mark.parametrize("name", FAMILIES)
def test_threads_and_cuts_change_nothing(pair, name, tmp_path):
    """Texts of megabytes are cut and shared by the threads."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(pair(name).ours.to_bytes())
    some = [text for text in strings(5, 12000, pair(name).pieces) if "\0" not in text]
    texts = [" and so ".join(some[:9000]), *some[9000:], "", " ".join(some[:6000]) + "  \n"]
    digests = {
        subprocess.run(
            [sys.executable, "-c", LONG, str(path)],
            input="\0".join(texts),
            env={**os.environ, "COLLEGIUM_NUM_THREADS": count},
            check=True,
            capture_output=True,
            encoding="utf-8",
        ).stdout
        for count in ("1", "3")
    }
    assert len(digests) == 1


def seconds(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


@pytest.mark.ci
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["one letter", "no spaces", "hexadecimal"])
def test_long_words_take_linear_time(pair, name, kind):
    draw = random.Random(6)
    size = 1 << 17
    text = {
        "one letter": "a" * size,
        "no spaces": "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=size)),
        "hexadecimal": "".join(draw.choices("0123456789abcdef", k=size)),
    }[kind]
    ours = pair(name).ours
    ratios = []
    for _ in range(8):
        once = seconds(lambda: ours.encode_batch([text[: size // 2]], False, True))
        twice = seconds(lambda: ours.encode_batch([text], False, True))
        ratios.append(twice / once)
        if min(ratios) < 2.5:
            return
    pytest.fail(f"twice the text takes {min(ratios):.2f} times as long at best")


def test_no_texts(pair):
    ids, offsets, lengths = pair("gpt2").ours.encode_batch([], True, True)[:3]
    assert (len(ids), offsets.tolist(), len(lengths)) == (0, [0], 0)
