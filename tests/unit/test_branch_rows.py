"""Branch rows: the same texts, edges, loss and gradients as separate sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from collegium.errors import ArgumentError, DataError
from collegium.example import Example, Rationale
from collegium.objectives.branches import branch_graphs
from collegium.objectives.encode import SpecialIds, encode_examples
from collegium.objectives.files import read_metadata
from collegium.objectives.formats import PromptFormat
from collegium.objectives.sequences import EncodedSequence
from collegium.objectives.tree_files import read_items, read_trees, write_trees
from collegium.objectives.trees import encode_trees, encoder_paths, linearise
from collegium.recipe import PackSection
from collegium.tokenizer import Tokenizer
from collegium.train.attention import use_tree_attention
from collegium.train.collate import Collator
from collegium.train.config import DistillArguments
from collegium.train.trainer import DistillTrainer

OBJECTIVES = ("label", "rationale:a", "rationale:b")


def example(number: int) -> Example:
    rationales = [
        Rationale(teacher=t, sample=s, text=f"{t} says {number} is {'odd' * (s + 1)}.", parsed=True,
                  gold_in_prompt=False, prompt_hash="x")
        for t, s in (("a", 0), ("a", 1), ("b", 0))
    ]  # fmt: skip
    return Example(
        id=f"q{number}", task="t", split="train", question=f"What is {number * 37}?",
        answer=str(number), rationales=rationales[: 3 - number % 2],
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(save_tiny_model, tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def sequences(folder: Path) -> list[EncodedSequence]:
    return encode_examples(
        [example(number) for number in range(6)],
        Tokenizer.from_pretrained(folder),
        PromptFormat(marker_position="after"),
        OBJECTIVES,
        SpecialIds(eos=1, pad=0),
        input_text=lambda example: example.question,
    )[0]


def test_the_question_is_there_once(sequences: list[EncodedSequence]) -> None:
    ids, graphs = branch_graphs(sequences, OBJECTIVES)
    trees, counts = encode_trees(ids, graphs, OBJECTIVES)
    assert [tree.example_id for tree in trees] == [f"q{n}" for n in range(6)]
    assert counts.trees == 6
    assert counts.input_tokens < 0.75 * sum(map(len, sequences))
    texts = sorted(
        (tuple(s.input_ids[: src + 1]), target, s.objective)
        for s in sequences
        for src, target in zip(s.edge_src, s.edge_target, strict=True)
    )
    paths = [path for tree in trees for path in linearise(tree)]
    found = sorted(
        (tuple(p.input_ids[: src + 1].tolist()), target, OBJECTIVES[objective])
        for p in paths
        for src, target, objective in zip(
            p.edge_src.tolist(), p.edge_target.tolist(), p.edge_objective.tolist(), strict=True
        )
    )
    assert found == texts


def test_training_on_branches_is_training_on_sequences(
    sequences: list[EncodedSequence], folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    trees, _ = encode_trees(*branch_graphs(sequences, OBJECTIVES), OBJECTIVES)
    weights = {}
    for name, items in (("sequences", sequences), ("branches", trees)):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
        arguments = DistillArguments(
            output_dir=str(tmp_path / name), objectives=dict.fromkeys(OBJECTIVES, 1.0),
            batch_size=3, max_steps=3, learning_rate=1e-2, use_cpu=True, packing=True,
            optim="sgd", report_to="none", save_strategy="no", kernel="torch", row_tokens=256,
            eval_strategy="steps", eval_steps=3,
        )  # fmt: skip
        trainer = DistillTrainer(model, arguments, items, items)
        trainer.train()
        assert not trainer.plan._trees or len(trainer.plan.shard(0, 0, 0)) == 1
        losses = [e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e]
        weights[name] = (torch.cat([p.detach().flatten() for p in model.parameters()]), losses)
    torch.testing.assert_close(weights["sequences"][0], weights["branches"][0], atol=1e-6, rtol=0)
    assert weights["sequences"][1] == pytest.approx(weights["branches"][1], rel=1e-6)


def test_models_with_windows_train_on_the_paths_and_say_so(
    sequences: list[EncodedSequence], tmp_path: Path
) -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=258, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, sliding_window=8,
        layer_types=["sliding_attention", "full_attention"], attn_implementation="sdpa",
    )  # fmt: skip
    trees, _ = encode_trees(*branch_graphs(sequences, OBJECTIVES), OBJECTIVES)
    totals = []
    for items in (sequences, trees):
        torch.manual_seed(0)
        arguments = DistillArguments(
            output_dir=str(tmp_path), objectives=dict.fromkeys(OBJECTIVES, 1.0), batch_size=6,
            max_steps=1, use_cpu=True, report_to="none", save_strategy="no", kernel="torch",
        )  # fmt: skip
        model = Gemma3ForCausalLM(config)
        if items is trees:
            with pytest.warns(UserWarning, match="sliding-window.*the paths of the trees"):
                trainer = DistillTrainer(model, arguments, items)
        else:
            trainer = DistillTrainer(model, arguments, items)
        trainer.train()
        totals.append(trainer.state.log_history[-1]["train_loss"])
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)


def test_encoder_decoder_paths(sequences: list[EncodedSequence]) -> None:
    trees, _ = encode_trees(*branch_graphs(sequences, OBJECTIVES), OBJECTIVES)
    paths = encoder_paths(trees[0], decoder_start=0)
    batch = Collator(OBJECTIVES, 0, encoder=True)(paths, [[n] for n in range(len(paths))])
    assert batch.encoder_mask is not None
    assert batch.input_ids[:, 0].eq(0).all()
    assert len(batch.edge_src) == len(trees[0].edge_src)
    targets = batch.input_ids.flatten()[batch.edge_src[:-1] + 1]
    same = targets == batch.edge_target[:-1]
    assert same.float().mean() > 0.9  # all but the last of each path


def test_the_file_keeps_everything(sequences: list[EncodedSequence], tmp_path: Path) -> None:
    trees, _ = encode_trees(*branch_graphs(sequences, OBJECTIVES), OBJECTIVES)
    path = tmp_path / "train.parquet"
    write_trees(path, trees, {"tokenizer": "abc"})
    assert read_metadata(path)["tokenizer"] == "abc"
    for a, b in zip(trees, read_items(path), strict=True):
        assert (a.example_id, a.objectives) == (b.example_id, b.objectives)
        for name in ("input_ids", "subtree_end", "edge_src", "edge_weight", "edge_objective"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
            assert getattr(a, name).dtype == getattr(b, name).dtype
    write_trees(path, [])
    assert read_trees(path) == []


def test_what_cannot_branch_is_refused(sequences: list[EncodedSequence]) -> None:
    other = EncodedSequence("q0", "label", [200, 201], [1], [3], [1.0])
    with pytest.raises(ArgumentError, match="share no beginning"):
        branch_graphs([sequences[0], other], OBJECTIVES)
    encoder = EncodedSequence("q0", "label", [200], [0], [3], [1.0], [4])
    with pytest.raises(ArgumentError, match="decoder-only sequences"):
        branch_graphs([encoder], OBJECTIVES)
    with pytest.raises(ValueError, match=r"pack\.marker_position: after"):
        PackSection(rows="branches")
    with pytest.raises(DataError, match=r"example 'q0': the path to node .* a row holds 9"):
        encode_trees(*branch_graphs(sequences, OBJECTIVES), OBJECTIVES, capacity=9)


def test_tree_attention_needs_sdpa(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    assert not use_tree_attention(model)
