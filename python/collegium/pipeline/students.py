"""Where a student comes from: a checkpoint, or a configuration and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collegium.pipeline.store import UNKNOWN, Output, digest_json, digest_path
from collegium.recipe import StudentSection, TokenizerTraining
from collegium.train.student import read_config, tokenizer_directory

