"""Distil the reasoning of several teacher language models into one small student.

Public names are imported on first use, so that ``import collegium`` costs nothing.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collegium.alignment import Alignment, align
    from collegium.batch import PackedBatch
    from collegium.dedup import Dedup, DedupStream, Reason, deduplicate
    from collegium.errors import CollegiumError, UserError
    from collegium.evaluate.student import Student
    from collegium.example import Example, Rationale
    from collegium.objectives.encode import encode_examples, encode_training_file
    from collegium.packing import Packing, pack
    from collegium.pipeline.run import run_recipe
    from collegium.recipe import Recipe
    from collegium.recipe_io import load_recipe
    from collegium.tokenizer import Encoded, Tokenizer
    from collegium.train.trainer import DistillTrainer
    from collegium.unrolling import GraphTokens, TokenNode, Trees, unroll

_HOME = {
    "Alignment": "alignment",
    "CollegiumError": "errors",
    "Dedup": "dedup",
    "DedupStream": "dedup",
    "DistillTrainer": "train.trainer",
    "Encoded": "tokenizer",
    "Example": "example",
    "GraphTokens": "unrolling",
    "PackedBatch": "batch",
    "Packing": "packing",
    "Rationale": "example",
    "Reason": "dedup",
    "Recipe": "recipe",
    "Student": "evaluate.student",
    "TokenNode": "unrolling",
    "Tokenizer": "tokenizer",
    "Trees": "unrolling",
    "UserError": "errors",
    "align": "alignment",
    "deduplicate": "dedup",
    "encode_examples": "objectives.encode",
    "encode_training_file": "objectives.encode",
    "load_recipe": "recipe_io",
    "pack": "packing",
    "run_recipe": "pipeline.run",
    "unroll": "unrolling",
}

__all__ = [
    "Alignment",
    "CollegiumError",
    "Dedup",
    "DedupStream",
    "DistillTrainer",
    "Encoded",
    "Example",
    "GraphTokens",
    "PackedBatch",
    "Packing",
    "Rationale",
    "Reason",
    "Recipe",
    "Student",
    "TokenNode",
    "Tokenizer",
    "Trees",
    "UserError",
    "align",
    "deduplicate",
    "encode_examples",
    "encode_training_file",
    "load_recipe",
    "pack",
    "run_recipe",
    "unroll",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            return metadata.version("collegium")
        except metadata.PackageNotFoundError:
            return "0+unknown"
    if name in _HOME:
        value = getattr(importlib.import_module(f"collegium.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'collegium' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
