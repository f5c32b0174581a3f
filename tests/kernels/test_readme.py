"""The tables of kernels/README.md are those of the committed results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script():
    path = ROOT / "kernels" / "update_readme.py"
    spec = importlib.util.spec_from_file_location("update_readme", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script):
    text = script.PAGE.read_text()
    assert script.page(text) == text, "run python kernels/update_readme.py"


def test_what_was_not_measured_is_said(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    assert "No CPU measurement exists yet." in script.measured()
    assert "No GPU measurement exists yet." in script.measured()
    assert script.compiled() == "No table yet."


def test_compiled_kernels_are_summed_up(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    row = {
        "kernel": "rows", "configuration": "a", "target": "sm_90", "registers": 64, "spills": 0,
        "shared_bytes": 128, "load_bits": 128, "store_bits": None,
    }  # fmt: skip
    rows = [row, {**row, "configuration": "b", "registers": 80}]
    (tmp_path / "kernels_aot.json").write_text(json.dumps({"rows": rows}))
    text = script.compiled()
    assert "| rows | sm_90 | 2 | 64 to 80 | 0 | 128 | 128 | not known |" in text
