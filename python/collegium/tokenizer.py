"""Texts to flat token ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collegium._arrays import strings, token_ids
from collegium._rust import Tokenizer as _Core
from collegium._rust import encode_file as _encode_file
from collegium.errors import CheckpointError

FILE_NAME = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Encoded:
    """The token ids of n texts, end to end.

    Text i has the ids ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: NDArray[np.uint32]
    """uint32[total]."""
    offsets: NDArray[np.int64]
    """int64[n + 1], rising from 0 to total."""
    byte_lengths: NDArray[np.uint32] | None = None
    """uint32[total] bytes of the original text that each token stands for, if asked for."""
    changed: NDArray[np.bool_] | None = None
    """bool[n], with byte lengths: whether the normalizer changed the characters of the text. Spaces
    written as a mark are no change; white space may count as changed where it was not."""
    uncertain: NDArray[np.int64] | None = None
    """int64[k], with byte lengths: positions in `ids`, rising, of tokens whose last byte is in
    doubt, since the text was changed there and the next token may stand for a part of it."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def __getitem__(self, text: int) -> NDArray[np.uint32]:
        """Return the ids of one text, a view."""
        if not -len(self) <= text < len(self):
            raise IndexError(f"text {text} of {len(self)}")
        text %= len(self)
        return self.ids[self.offsets[text] : self.offsets[text + 1]]


class Tokenizer:
    """A tokenizer read from a ``tokenizer.json``. Immutable; may be pickled and used in threads.

    The ids are those of the ``tokenizers`` package. Truncation and padding that the file may ask
    for are left out: texts keep their length.
    """

    __slots__ = ("_core",)

    def __init__(self, core: _Core) -> None:
        self._core = core

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a ``tokenizer.json``.

        Raises:
            CheckpointError: The file is missing, truncated or no tokenizer.
        """
        return cls(_Core.from_file(os.fspath(path)))

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike[str]) -> Tokenizer:
        """Read ``tokenizer.json`` in a model's or tokenizer's directory; nothing is downloaded.

        Raises:
            CheckpointError: There is no such file, or it is no tokenizer.
        """
        folder = os.fspath(directory)
        if not os.path.isdir(folder):
            raise CheckpointError(
                f"{folder}: no such directory; expected a local one with a {FILE_NAME} in it"
            )
        path = os.path.join(folder, FILE_NAME)
        if not os.path.exists(path):
            raise CheckpointError(
                f"{folder}: no {FILE_NAME} in it; make one with "
                f"transformers.AutoTokenizer.from_pretrained(...).save_pretrained({folder!r})"
            )
        return cls.from_file(path)

    def encode_batch(
        self, texts: Any, add_special_tokens: bool = False, byte_lengths: bool = False
    ) -> Encoded:
        """Encode n texts in one call, in parallel and without the GIL.

        Byte lengths count the bytes of each text as given, in UTF-8, before any normalization:

        * They sum to the length of the text; only a text without ids is an exception.
        * A token that the post-processor adds (with `add_special_tokens`) has 0, unless a text
          has no other tokens.
        * Bytes that no token covers, such as stripped or collapsed spaces, go to the next token,
          at the end of the text to the last one.
        * A character spread over several tokens is divided exactly where the tokens are bytes
          (byte-level BPE, byte fallback); else it all goes to the first of them.

        Args:
            texts: Strings: a list, or an Arrow array or column (utf8, large_utf8, string_view or
                a dictionary of them, sliced or chunked) or a column of a `datasets.Dataset`, read
                in place.
            add_special_tokens: Add the tokens that the file's post-processor adds.
            byte_lengths: Fill `Encoded.byte_lengths`.

        Raises:
            ArgumentError: A row is null, no string, or has a lone surrogate; the message names it.
            DataError: A row cannot be encoded, or the Arrow data is not valid.
        """
        return Encoded(*self._core.encode_batch(strings(texts), add_special_tokens, byte_lengths))

    def encode_file(
        self,
        path: str | os.PathLike[str],
        column: str,
        add_special_tokens: bool = False,
        byte_lengths: bool = False,
    ) -> Encoded:
        """Encode a column of a JSONL or Parquet file without Python strings, as `encode_batch`.

        The first bytes tell what the file is: Parquet, gzip (of JSONL), or JSONL with one object a
        line; blank lines are skipped. It is read in blocks: only the ids stay in memory.

        Args:
            path: The file.
            column: The field whose strings are encoded. In a Parquet file a field of a structure is
                named by its path, ``"outer.inner"``.
            add_special_tokens: See `encode_batch`.
            byte_lengths: See `encode_batch`.

        Raises:
            DataError: The file cannot be read or is damaged, has no such column, or a row is null,
                no string, no UTF-8 or cannot be encoded. The message names file, line (and byte) or
                row, and field; nothing is returned of such a file.
        """
        found = _encode_file(self._core, os.fspath(path), column, add_special_tokens, byte_lengths)
        return Encoded(*found)

    def decode(
        self, ids: Sequence[int] | NDArray[np.integer], skip_special_tokens: bool = True
    ) -> str:
        """Return the text of `ids`.

        Raises:
            ArgumentError: An id is no token of this tokenizer; the message names its position.
        """
        return self._core.decode(token_ids("ids", ids), skip_special_tokens)

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token as written in the vocabulary, or None."""
        return self._core.token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """Return the token with this id as written in the vocabulary, or None."""
        return self._core.id_to_token(id) if 0 <= id < 1 << 32 else None

    @property
    def engine(self) -> str:
        """What encodes: ``native``, or ``tokenizers``, the crate of that name."""
        return self._core.engine

    @property
    def plan(self) -> str:
        """Parts of the plan by which the native engine encodes, or why none covers the file."""
        return self._core.plan

    def with_cache(self, words: int) -> Tokenizer:
        """Return the same tokenizer with word caches of `words` words a thread, or with none."""
        return Tokenizer(self._core.with_cache(words))

    def with_fallback(self) -> Tokenizer:
        """Return the same tokenizer on the ``tokenizers`` crate: slow, an oracle for checks."""
        return Tokenizer(self._core.with_fallback())

    @property
    def vocab_size(self) -> int:
        """Number of tokens, added ones included."""
        return self._core.vocab_size

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file's contents, whatever its key order and white space."""
        return self._core.fingerprint

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._core.to_bytes(),)

    def __copy__(self) -> Tokenizer:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokenizer:
        return self

    def __repr__(self) -> str:
        return (
            f"Tokenizer(engine={self.engine!r}, vocab_size={self.vocab_size}, "
            f"fingerprint={self.fingerprint[:12]!r})"
        )


def _restore(source: bytes) -> Tokenizer:
    return Tokenizer(_Core.from_bytes(source))
