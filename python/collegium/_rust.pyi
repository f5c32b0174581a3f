"""The Rust core. Use the documented wrappers in tokenizer.py, dedup.py and packing.py."""

import os
from typing import Any, Protocol, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokenizer", "deduplicate", "pack"]

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

_Strings: TypeAlias = _ArrowStream | _ArrowArray | Any  # or an iterable of str | None

@final
class Tokenizer:
    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> Tokenizer: ...
    @staticmethod
    def from_bytes(source: bytes) -> Tokenizer: ...
    def to_bytes(self) -> bytes: ...
    def encode_batch(
        self, texts: _Strings, add_special_tokens: bool, byte_lengths: bool
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint32] | None]: ...
    def decode(self, ids: NDArray[np.uint32], skip_special_tokens: bool) -> str: ...
    def token_to_id(self, token: str) -> int | None: ...
    def id_to_token(self, id: int) -> str | None: ...
    @property
    def engine(self) -> str: ...
    @property
    def plan(self) -> str: ...
    def with_cache(self, words: int) -> Tokenizer: ...
    def with_fallback(self) -> Tokenizer: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...

def deduplicate(
    texts: _Strings,
    groups: _Strings | NDArray[np.int64],
    answers: _Strings | None,
    *,
    ids: _Strings | NDArray[np.int64] | None,
    verified: NDArray[np.bool_] | None,
    quality: NDArray[np.float64] | None,
    teacher_rank: NDArray[np.int64] | None,
    token_ids: NDArray[np.uint32] | None,
    token_offsets: NDArray[np.int64] | None,
    threshold: float,
    scope: str,
    mode: str,
    keep: int,
    diverse: int,
    view: str,
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]: ...
def pack(
    lengths: NDArray[np.int64], capacity: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]: ...
