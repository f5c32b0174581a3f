"""Arms times seeds of one recipe: shared stages, side by side, one table and page."""

from __future__ import annotations

from pathlib import Path

import pytest

from collegium.pipeline.progress import Progress
from collegium.pipeline.run import run_recipe
from collegium.recipe_io import build_recipe, expand

TREE = expand(
    {
        "name": "comparison",
        "task.options": {"train": 48, "validation": 16, "test": 24},
        "teachers": {
            "equations": {"kind": "programmatic", "style": "equations"},
            "narration": {"kind": "programmatic", "style": "narration"},
            "neural": {
                "kind": "local",
                "annotate": False,
                "train": {
                    "task.options.train": 96,
                    "student.config.hidden_size": 48,
                    "train": {"objectives": {"label": 1, "rationale": 1}, "max_steps": 4},
                    "evaluate": {"limit": 8},
                },
            },
        },
        "student.config": {
            "model_type": "llama",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        },
        "student.tokenizer": {"train": "word_level"},
        "pack": {"marker_position": "after", "conclusion": True},
        "train": {"objectives": {"label": 1.0}, "max_steps": 4, "objective_batches": "mixed"},
        "evaluate": {"modes": ["label", "rationale"], "max_rationale_tokens": 8},
        "seeds": [1, 2],
        "arms": {
            "label": {},
            "teachers": {"train.objectives.rationale": 2.0},
            "distributions": {
                "train.objectives.rationale": 2.0,
                "train.distributions.teachers": {"neural": 1.0},
            },
        },
    }
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("comparison") / "run"
    return root, run_recipe(build_recipe(TREE, "test"), run_dir=root, jobs=2)


def test_shared_stages_are_made_once(finished) -> None:
    root, _ = finished
    count = {
        stage: len(list((root / "stages").glob(f"{stage}-*")))
        for stage in ("tokenizer", "annotate", "clean", "pack", "train", "evaluate")
    }
    # The neural teacher has questions of its own: 2 of each, and 6 students + 1 teacher.
    assert count == {
        "tokenizer": 1, "annotate": 2, "clean": 2, "pack": 2, "train": 7, "evaluate": 7,
    }  # fmt: skip


def test_every_arm_and_seed_is_in_the_table(finished) -> None:
    _, outcome = finished
    rows = outcome.to_json()["results"]["rows"]
    assert [(r["arm"], r["seeds"]) for r in rows] == [
        ("label", [1, 2]), ("teachers", [1, 2]), ("distributions", [1, 2]),
    ]  # fmt: skip
    assert set(rows[0]["modes"]) == {"label"}
    assert {"label", "rationale:equations", "rationale:narration"} <= set(rows[1]["modes"])
    assert "neural" in outcome.text()


def test_the_page_stands_alone(finished) -> None:
    _, outcome = finished
    text = outcome.page.read_text("utf-8")
    assert "distributions" in text
    assert "<svg" in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_students_are_delivered_with_their_cards(finished) -> None:
    root, outcome = finished
    assert len(outcome.students) == 6
    card = (root / "students" / "teachers-seed-1" / "README.md").read_text("utf-8")
    assert "explain equations:" in card
    assert "AutoModelForCausalLM" in card


def test_again_nothing_runs_and_one_process_agrees(finished, tmp_path: Path) -> None:
    root, outcome = finished
    again = run_recipe(build_recipe(TREE, "test"), run_dir=root)
    assert all(o.kept for o in again.outputs)
    few = {**TREE, "arms": {"teachers": TREE["arms"]["teachers"]}, "seeds": [2]}
    alone = run_recipe(build_recipe(few, "test"), run_dir=tmp_path / "alone", jobs=1)
    [second] = alone.results.runs
    [first] = [r for r in outcome.results.runs if (r.arm, r.seed) == ("teachers", 2)]
    assert first.tokens == second.tokens
    for one, other in zip(first.curve, second.curve, strict=True):
        assert one.get("loss", 0.0) == pytest.approx(other.get("loss", 0.0), rel=1e-4)


def test_a_mistake_in_the_last_arm_is_found_before_anything_runs(tmp_path: Path) -> None:
    from collegium.errors import RecipeError

    tree = {**TREE, "arms": {**TREE["arms"], "late": {"train.objectives.rationale:nobody": 1.0}}}
    with pytest.raises(RecipeError, match="nobody"):
        run_recipe(build_recipe(tree, "test"), run_dir=tmp_path / "run", progress=Progress())
    assert not (tmp_path / "run" / "stages").exists()


def test_gold_is_never_read_with_a_teachers_labels(tmp_path: Path) -> None:
    """The same student comes out whatever the gold answers are."""
    import json

    from collegium.digest import digest_path

    digests = []
    for number, offset in enumerate((0, 1000)):
        data = tmp_path / f"data{number}"
        data.mkdir()
        for split, size in (("train", 40), ("test", 8)):
            rows = [
                {
                    "id": f"{split}{i}",
                    "question": f"what is {i} + 1 ?",
                    "answer": str(i + 1 + offset),
                    "said": f"{i} and 1 make {i + 1}",
                    "result": str(i + 1),
                }
                for i in range(size)
            ]
            (data / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        outcome = run_recipe(
            "standard_distillation",
            {
                "task": {
                    "name": "custom",
                    "data": str(data),
                    "options": {
                        "answer_kind": "number",
                        "rationales": {"t": {"text": "said", "answer": "result"}},
                    },
                },
                "student.config": TREE["student"]["config"],
                "train.label_source": "teacher:t",
                "train.max_steps": 3,
            },
            run_dir=tmp_path / f"run{number}",
        )
        [student] = outcome.students.values()
        digests.append(digest_path(student / "model.safetensors"))
    assert digests[0] == digests[1]
