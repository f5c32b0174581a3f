"""`collegium doctor TOKENIZER`: what encodes a file, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collegium.cli.doctor import examine_tokenizer
from collegium.cli.main import app
from collegium.errors import CheckpointError


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A tokenizer of a kind that no plan covers."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    Tokenizer(WordLevel({"a": 0, "[unk]": 1}, unk_token="[unk]")).save(
        str(tmp_path / "tokenizer.json")
    )
    return tmp_path


def test_a_file_without_a_plan_says_why(words: Path) -> None:
    for place in (words, words / "tokenizer.json"):
        done = CliRunner().invoke(app, ["doctor", str(place), "--json"])
        assert done.exit_code == 0, done.output
        facts = json.loads(done.output)["tokenizer"]
        assert facts["engine"].startswith("tokenizers")
        assert facts["why not native"]
        assert facts["tokens"] == 2


def test_a_file_with_a_plan_says_which(tokenizer_file) -> None:
    facts = examine_tokenizer(str(tokenizer_file("pythia")))
    assert facts["engine"] == "native"
    assert facts["plan"]


def test_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json in it"):
        examine_tokenizer(str(tmp_path))
    with pytest.raises(CheckpointError, match="cannot be read"):
        examine_tokenizer(str(tmp_path / "none.json"))
