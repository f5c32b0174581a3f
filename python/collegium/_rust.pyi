"""The Rust core.

Use the documented wrappers: tokenizer.py, alignment.py, dedup.py, packing.py, unrolling.py,
objectives/rows.py.
"""

import os
from typing import Any, Protocol, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DedupStream",
    "Tokenizer",
    "align",
    "deduplicate",
    "encode_file",
    "encode_prompts",
    "encode_rows",
    "encode_rows_file",
    "nearest",
    "pack",
    "unroll",
]

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

_Strings: TypeAlias = _ArrowStream | _ArrowArray | Any  # or an iterable of str | None

class _Layout(Protocol):
    @property
    def forms(self) -> list[tuple[str, str, str, int]]: ...
    @property
    def head(self) -> list[int]: ...
    @property
    def tail(self) -> list[int]: ...
    @property
    def eos(self) -> int: ...
    @property
    def decoder_start(self) -> int | None: ...
    @property
    def max_prompt_tokens(self) -> int: ...
    @property
    def max_target_tokens(self) -> int: ...

_Ids: TypeAlias = NDArray[np.uint32]
_Places: TypeAlias = NDArray[np.int64]
_Encoded: TypeAlias = tuple[_Ids, _Places, _Ids | None, NDArray[np.bool_] | None, _Places | None]
_Rows: TypeAlias = tuple[
    NDArray[np.uint8],
    _Places,
    tuple[_Ids, _Places],
    tuple[_Ids, _Ids, _Places],
    tuple[_Ids, _Places],
]
_Side: TypeAlias = tuple[_Places, _Ids, _Places, _Places]

@final
class Tokenizer:
    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> Tokenizer: ...
    @staticmethod
    def from_bytes(source: bytes) -> Tokenizer: ...
    def to_bytes(self) -> bytes: ...
    def encode_batch(
        self, texts: _Strings, add_special_tokens: bool, byte_lengths: bool
    ) -> _Encoded: ...
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

def align(
    student: _Side, teacher: _Side
) -> tuple[_Places, _Places, _Places, _Ids, _Ids, NDArray[np.float32]]: ...
def encode_file(
    tokenizer: Tokenizer,
    path: str | os.PathLike[str],
    column: str,
    add_special_tokens: bool,
    byte_lengths: bool,
) -> _Encoded: ...
def encode_prompts(
    tokenizer: Tokenizer, questions: _Strings, form: int, layout: _Layout
) -> tuple[_Ids, _Places, NDArray[np.bool_]]: ...
def encode_rows(
    tokenizer: Tokenizer,
    questions: _Strings,
    targets: _Strings,
    question_of: _Places,
    form_of: _Places,
    layout: _Layout,
) -> _Rows: ...
def encode_rows_file(
    tokenizer: Tokenizer,
    path: str | os.PathLike[str],
    question: str,
    targets: list[str],
    id: str | None,
    layout: _Layout,
) -> tuple[_Rows, NDArray[np.uint8], _Places]: ...

class _DedupColumns(TypedDict):
    texts: _Strings
    groups: _Strings | NDArray[np.int64]
    answers: _Strings | None
    ids: _Strings | NDArray[np.int64] | None
    verified: NDArray[np.bool_] | None
    quality: NDArray[np.float64] | None
    teacher_rank: NDArray[np.int64] | None
    token_ids: NDArray[np.uint32] | None
    token_offsets: NDArray[np.int64] | None

class _DedupOptions(TypedDict):
    threshold: float
    scope: str
    mode: str
    keep: int
    diverse: int
    view: str
    memory: int | None

@final
class DedupStream:
    def __new__(cls, options: _DedupOptions) -> DedupStream: ...
    def add(self, columns: _DedupColumns) -> None: ...
    def finish(
        self,
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]: ...

def deduplicate(
    columns: _DedupColumns, options: _DedupOptions
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]: ...
def nearest(
    texts: _Strings, others: _Strings, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]: ...
def pack(
    lengths: NDArray[np.int64], capacity: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]: ...
def unroll(
    *,
    tokens: NDArray[np.int64],
    token_offsets: NDArray[np.int64],
    parents: NDArray[np.int64],
    parent_offsets: NDArray[np.int64],
    weight: NDArray[np.float32],
    objective: NDArray[np.int64],
    graph_offsets: NDArray[np.int64],
    mode: str,
    count: str,
    capacity: int,
    max_depth: int,
) -> dict[str, Any]: ...
