"""A run whose rows are branches: packed, trained and measured like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from collegium.objectives.tree_files import read_items
from collegium.objectives.trees import EncodedTree
from collegium.pipeline.run import run_recipe
from collegium.recipe_io import build_recipe, expand

TREE = {
    "name": "branches",
    "task.options": {"train": 24, "validation": 8, "test": 8},
    "teachers": {
        "equations": {"kind": "programmatic", "style": "equations"},
        "narration": {"kind": "programmatic", "style": "narration"},
    },
    "student.config": {
        "model_type": "llama", "hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 2,
    },
    "student.tokenizer": {"train": "word_level"},
    "pack": {"marker_position": "after", "max_prompt_tokens": 96, "max_target_tokens": 64},
    "train": {"objectives": {"label": 1.0, "rationale": 1.0}, "max_steps": 3, "batch_size": 8},
    "evaluate": {"limit": 8},
    "arms": {"sequences": {}, "branches": {"pack.rows": "branches"}},
}  # fmt: skip


@pytest.mark.ci
def test_branches_train_as_sequences_do(tmp_path: Path) -> None:
    outcome = run_recipe(build_recipe(expand(TREE), "test"), run_dir=tmp_path / "run", jobs=1)
    rows = {r["arm"]: r for r in outcome.to_json()["results"]["rows"]}
    assert set(rows) == {"sequences", "branches"}
    packed = [
        read_items(path / "train.parquet")
        for path in sorted((tmp_path / "run" / "stages").glob("pack-*"))
    ]
    assert len(packed) == 2
    trees = next(items for items in packed if isinstance(items[0], EncodedTree))
    sequences = next(items for items in packed if items is not trees)
    assert len(trees) == 24
    assert sum(map(len, trees)) < 0.7 * sum(map(len, sequences))


def test_an_encoder_decoder_learns_the_paths_of_graphs(tmp_path: Path) -> None:
    tree = {
        **TREE,
        "teachers": {
            "solver": {
                "kind": "programmatic", "style": "equations", "graph": True, "error_rate": 0.0,
            }
        },
        "student.config": {
            "model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1,
            "num_heads": 2,
        },
        "pack": {"rows": "graphs", "marker_position": "after", "max_prompt_tokens": 96},
        "evaluate": {"limit": 4, "modes": ["label", "rationale"], "max_rationale_tokens": 8},
        "arms": {},
    }  # fmt: skip
    outcome = run_recipe(build_recipe(expand(tree), "test"), run_dir=tmp_path / "run", jobs=1)
    (packed,) = (o for o in outcome.outputs if o.stage == "pack")
    assert "no tree rows: the paths of each graph are written out" in packed.summary["note"]
    assert packed.summary["rows"]["train"]["graphs"] == 24
    items = read_items(packed.path / "train.parquet")
    assert all(isinstance(i, EncodedTree) and i.is_path and i.encoder_ids for i in items)
    assert (next(iter(outcome.students.values())) / "model.safetensors").is_file()
