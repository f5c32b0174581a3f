"""The recipe: everything a run depends on, as one strict model that YAML files and options fill.

``arms`` (named overrides) times ``seeds`` make a comparison out of one recipe.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from collegium.graphs.kinds import NodeKind


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskSection(Section):
    """Where the questions come from."""

    name: str | None = None
    """A name in `TASKS`; without it: `wordproblems`, or what the data folder's name tells."""
    data: str | None = None
    """File or folder with the source files; not for `wordproblems`, which makes its own."""
    limit: int | None = Field(default=None, ge=1)
    """Use only the first questions of the training split."""
    validation_limit: int | None = Field(default=None, ge=1)
    """The same for the validation split; default: a ninth of `limit`, as a tenth is carved off."""
    options: dict[str, Any] = {}
    """The task's own options (`collegium schema --task NAME`)."""


class TokenizerTraining(Section):
    """A tokenizer trained on the spot on the task's own texts (never on the test split)."""

    train: Literal["auto", "word_level", "byte_bpe"] = "auto"
    """`auto`: word_level for tasks whose texts are written for it (wordproblems), else byte_bpe."""
    vocab_size: int = Field(default=4096, ge=16)


class StudentSection(Section):
    """The model to train: a pretrained checkpoint, or a configuration with its tokenizer."""

    checkpoint: str | None = None
    """Directory of a pretrained model (safetensors) with its tokenizer."""
    config: str | dict[str, Any] | None = None
    """Random initialisation: a shipped configuration's name, a JSON file, or the mapping itself."""
    tokenizer: str | TokenizerTraining | None = None
    """With `config`: a directory or tokenizer.json, or how to train one on the spot."""
    trust_remote_code: bool = False
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    @model_validator(mode="after")
    def _one_source(self) -> StudentSection:
        if (self.checkpoint is None) == (self.config is None):
            raise ValueError("give exactly one of student.checkpoint and student.config")
        if self.checkpoint is not None and self.tokenizer is not None:
            raise ValueError(
                "student.tokenizer belongs to student.config; a checkpoint has its own"
            )
        if self.config is not None and self.tokenizer is None:
            raise ValueError("student.config needs student.tokenizer (a path, or {train: auto})")
        return self


class CleanSection(Section):
    """Which rationales are kept. What cuts or drops texts beyond the published methods is off."""

    verify: bool = True
    """Drop rationales whose parsed answer differs from the label that the student will learn."""
    complete_sentences: bool = False
    """Cut rationales at their last complete sentence."""
    drop_loops: bool = False
    """Drop rationales that repeat the same words three times in a row or more."""
    drop_other_options: bool = False
    """Drop rationales whose text concludes with another answer than the label."""
    deduplicate: bool = True
    threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity of 3-grams from which two rationales count as the same."""
    view: Literal["words", "chars", "canonical"] = "words"
    """3-grams of what: words; characters, for scripts without spaces; words and equations."""
    keep: int = Field(default=1, ge=1)
    """Rationales kept of each cluster of duplicates."""
    diverse: int = Field(default=0, ge=0)
    """Keep at most so many rationales a question and answer, farthest first (0: no limit)."""
    memory: str | int | None = None
    """Memory for finding duplicates, such as `2GiB`; beyond it the disk is used."""
    overlap_threshold: float = Field(default=0.7, gt=0, le=1)
    """Similarity from which a question counts as one of another split; reported, never dropped."""

    @model_validator(mode="after")
    def _dedup_options(self) -> CleanSection:
        if self.diverse and not self.deduplicate:
            raise ValueError("clean.diverse needs clean.deduplicate: true")
        if self.keep > 1 and not self.deduplicate:
            raise ValueError("clean.keep needs clean.deduplicate: true")
        return self


class GraphSection(Section):
    """How the thought graphs that rationales carry become training rows."""

    texts: list[Literal["best_path", "correct_paths", "contrastive", "depth_first"]] = []
    """With rows: sequences, the texts that stand for a graph; empty: the rationale's own text."""
    budget: int | None = Field(default=None, ge=1)
    """Words that such a text may have; larger graphs are pruned."""
    leave_out: list[NodeKind] = []
    """Kinds of thoughts that are not used."""
    max_paths: int | None = Field(default=None, ge=1)
    """Use only the first right paths."""
    weights: dict[NodeKind, float] = {}
    """Loss weight of a kind, in place of its usual one; wrong text is never learnt."""
    apart: Literal["keep", "reject"] = "keep"
    """Graphs with a thought that changes the tokens of the text before it (E16): used, each text
    with the tokens that it has alone, or left out; counted either way."""
    mode: Literal["linear", "primary", "paths"] = "linear"
    """What stands before a thought with several parents: all its ancestors, its primary parent's
    line, or each parent's line in a copy of its own."""
    count: Literal["once", "paths"] = "once"
    """Whether a thought's tokens weigh 1 in all, or once for every path through them."""


class PackSection(Section):
    """How questions, labels and rationales become token sequences."""

    rows: Literal["sequences", "branches", "graphs", "paths"] = "sequences"
    """One objective a sequence; a question once with its label and rationales as branches; the
    same with the rationales' thought graphs; or each path of these graphs as a sequence."""
    graph: GraphSection = GraphSection()
    marker_position: Literal["before", "after"] = "before"
    """Task markers before the question (as published) or after it."""
    markers: dict[str, str] = {}
    """Objective to marker text; by default `predict:`, `explain:`, or `explain <teacher>:`."""
    conclusion: bool = False
    """End each rationale with its answer, so that it can be answered through it."""
    chat_template: bool = False
    """Put each prompt into a user's turn of the student's own chat template."""
    max_prompt_tokens: int = Field(default=512, ge=8)
    max_target_tokens: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _branches_share_the_question(self) -> PackSection:
        if self.rows != "sequences" and self.marker_position == "before":
            raise ValueError(
                f"pack.rows: {self.rows} share the question's tokens, so the marker stands behind "
                "them: set pack.marker_position: after"
            )
        return self


class ObjectiveSection(Section):
    """Weights of one objective: lambda for cross-entropy, kappa for distillation."""

    weight: float = Field(default=1.0, ge=0)
    distill: float | None = Field(default=None, ge=0)


def _objective(value: Any) -> Any:
    return {"weight": value} if isinstance(value, int | float | str) else value


class DistributionSection(Section):
    """Which teachers' next-token distributions the student learns, and how."""

    teachers: dict[str, float] = {}
    """Teacher to mixture weight; empty: no distributions."""
    share: float = Field(default=0.5, ge=0, le=1)
    """Part of each objective's weight that goes to distillation where `distill` is not given."""
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    temperature: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.5, gt=0, lt=1)


class TrainSection(Section):
    """The optimisation. One step sees `batch_size` questions in every objective."""

    label_source: str = "gold"
    """`gold`, `teacher:<name>` or `vote`; with a teacher's labels gold is never read."""
    objectives: dict[str, Annotated[ObjectiveSection, BeforeValidator(_objective)]] = {
        "label": ObjectiveSection()
    }
    """`label`, `rationale:<teacher>`, or `rationale` for each annotating teacher."""
    distributions: DistributionSection = DistributionSection()
    batch_size: int = Field(default=16, ge=1)
    accumulation: int = Field(default=1, ge=1)
    """Micro-batches (per objective) that an optimizer step is cut into."""
    packing: bool = True
    row_tokens: int = Field(default=1024, ge=16)
    """Capacity of a packed row."""
    objective_batches: Literal["separate", "mixed"] = "separate"
    """Whether a micro-batch holds one objective (as published) or all of them."""
    epochs: float = Field(default=10, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    """Default: 5e-5 for a checkpoint, 3e-3 for a student from random initialisation."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    adam_beta2: float = Field(default=0.999, gt=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    selection: Literal["loss", "last"] = "loss"
    """Keep the checkpoint with the lowest validation loss, or the last one."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many evaluations without improvement (needs selection: loss)."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between validation losses; default: five times in a run."""
    validation_questions: int | None = Field(default=None, ge=1)
    """Questions of the validation split whose loss is measured each time; default: half as many as
    are trained on in between, at most 200, so that validating takes a sixth of the time or less."""
    save_every: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; default: at every validation."""
    gradient_checkpointing: bool = False
    bf16: bool = False


class EvaluateSection(Section):
    """What is measured on the test split."""

    modes: list[Literal["label", "rationale"]] = ["label"]
    """Direct label prediction; rationale, then the answer parsed from it."""
    limit: int | None = Field(default=None, ge=1)
    rationale_limit: int | None = Field(default=None, ge=1)
    """Questions answered through rationales; default: as many as `limit`."""
    batch_size: int = Field(default=64, ge=1)
    max_label_tokens: int = Field(default=64, ge=1)
    max_rationale_tokens: int = Field(default=256, ge=1)


class ReportSection(Section):
    """What the report page shows."""

    title: str | None = None
    cases: int = Field(default=6, ge=0)
    """Questions shown side by side."""


def _student(value: Any) -> Any:
    return {"checkpoint": value} if isinstance(value, str) else value


class Recipe(Section):
    """One run, or a comparison: `arms` times `seeds` of the same recipe."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    description: str = ""
    task: TaskSection = TaskSection()
    teachers: dict[str, dict[str, Any]] | None = None
    """Teacher name to its section; default: the task's own teachers."""
    student: Annotated[StudentSection, BeforeValidator(_student)]
    clean: CleanSection = CleanSection()
    pack: PackSection = PackSection()
    train: TrainSection = TrainSection()
    evaluate: EvaluateSection = EvaluateSection()
    report: ReportSection = ReportSection()
    seed: int = Field(default=0, ge=0)
    seeds: list[int] = []
    """Seeds of a comparison; empty: `seed` alone."""
    arms: dict[str, dict[str, Any]] = {}
    """Arm name to overrides (dotted keys or nested mappings)."""

    @model_validator(mode="after")
    def _chat_needs_a_template(self) -> Recipe:
        if self.pack.chat_template and isinstance(self.student.tokenizer, TokenizerTraining):
            raise ValueError(
                "pack.chat_template: a tokenizer that is trained on the spot has no chat template"
            )
        return self
