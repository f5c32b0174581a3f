"""Tokenizers as students and teachers need them: loading, special tokens, sameness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from collegium.errors import CheckpointError
from collegium.pretrained import one_line

# What a bare tokenizer.json calls its special tokens, most specific first.
_EOS = ("</s>", "<eos>", "[eos]", "[EOS]", "<|endoftext|>", "<|im_end|>", "[SEP]")
_BOS = ("<s>", "<bos>", "[bos]", "[BOS]", "[CLS]")
_PAD = ("<pad>", "[pad]", "[PAD]", "<|padding|>", "<|pad|>")
_UNK = ("<unk>", "[unk]", "[UNK]", "<|unk|>")


def tokenizer_file(path: str | Path) -> Path:
    """Return the tokenizer.json of a directory (or the file itself).

    Raises:
        CheckpointError: there is none.
    """
    path = Path(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        what = "has no tokenizer.json" if path.is_dir() else "does not exist"
        raise CheckpointError(
            f"tokenizer {path}: {what}; expected a tokenizer.json or a directory with one"
        )
    return file


def load_tokenizer(path: str | Path, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a checkpoint directory, or from a tokenizer.json alone.

    A file alone does not say which token ends a text; the usual names are tried. A tokenizer
    without padding token pads with its end-of-text token (padding is never seen nor trained).

    Raises:
        CheckpointError: no tokenizer there, it cannot be read, or it has no end-of-text token.
    """
    file = tokenizer_file(path)
    try:
        if (file.parent / "tokenizer_config.json").is_file() and Path(path).is_dir():
            tokenizer = AutoTokenizer.from_pretrained(
                str(path), trust_remote_code=trust_remote_code, local_files_only=True
            )
        else:
            tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))
            _name_specials(tokenizer)
    except CheckpointError:
        raise
    except Exception as error:  # the libraries raise a wide range for a broken file
        raise CheckpointError(f"tokenizer {path}: cannot be loaded ({one_line(error)})") from error
    if tokenizer.eos_token_id is None:
        raise CheckpointError(
            f"tokenizer {path}: has no end-of-text token (eos_token); name one in "
            "tokenizer_config.json"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _name_specials(tokenizer: PreTrainedTokenizerFast) -> None:
    # Only declared tokens: `</s>` may be an ordinary piece of text in another family's vocabulary.
    vocabulary = tokenizer.get_added_vocab()
    roles = {"eos_token": _EOS, "bos_token": _BOS, "pad_token": _PAD, "unk_token": _UNK}
    found = {
        role: next((name for name in names if name in vocabulary), None)
        for role, names in roles.items()
    }
    tokenizer.add_special_tokens({role: name for role, name in found.items() if name is not None})


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return one more than the highest token id."""
    return max(tokenizer.get_vocab().values()) + 1


def leading_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the beginning-of-text id if the tokenizer itself puts one in front of a text."""
    ids = list(tokenizer("a")["input_ids"])
    bos: Any = tokenizer.bos_token_id
    return bos if bos is not None and ids and ids[0] == bos else None


def check_same_tokenizer(
    student: PreTrainedTokenizerBase | str | Path,
    teacher: PreTrainedTokenizerBase | str | Path,
    name: str = "teacher",
) -> None:
    """Compare two tokenizers token by token; vocabularies of equal size may still differ.

    Raises:
        CheckpointError: some id stands for another token, or texts are split in another way.
    """
    first, second = (
        t if isinstance(t, PreTrainedTokenizerBase) else load_tokenizer(t)
        for t in (student, teacher)
    )
    ours = {index: token for token, index in first.get_vocab().items()}
    theirs = {index: token for token, index in second.get_vocab().items()}
    for index in sorted(ours.keys() | theirs.keys()):
        if ours.get(index) != theirs.get(index):
            raise CheckpointError(
                f"teacher {name!r} has another tokenizer than the student: id {index} is "
                f"{theirs.get(index)!r} there, {ours.get(index)!r} here; its distributions can "
                "only be used with the same tokenizer"
            )
    for text in ("Tom has 12 apples, 3.5 pears;", "predict: how\n many?  \u00e4\u00f6 \u4f60"):
        if first(text)["input_ids"] != second(text)["input_ids"]:
            raise CheckpointError(
                f"teacher {name!r} has the student's vocabulary but splits texts in another way "
                f"(e.g. {text!r}); its distributions can only be used with the same tokenizer"
            )
