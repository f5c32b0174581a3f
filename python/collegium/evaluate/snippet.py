"""The lines that load a student with transformers alone and ask it one question."""

from __future__ import annotations

from collegium.evaluate.info import StudentInfo
from collegium.objectives.prompts import SpecialIds

_TEMPLATE = """\
import torch
from transformers import {loader}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = {loader}.from_pretrained(".").eval()

prompt = {prompt}
ids = {ids}
inputs = torch.tensor([ids])
output = model.generate(
    input_ids=inputs,
    attention_mask=torch.ones_like(inputs),
    do_sample=False,
    max_new_tokens={tokens},
    eos_token_id={eos},
    pad_token_id={pad},
)
print(tokenizer.decode(output[0, {start}:], skip_special_tokens=True))
"""


def loading_snippet(info: StudentInfo, question: str, special: SpecialIds, objective: str) -> str:
    """Return a program that prints the greedy answer to one question; run in the checkpoint.

    Args:
        info: how the student was taught.
        question: as the student reads it, without marker.
        special: ids that start, end and pad a text.
        objective: ``label`` or ``rationale:<teacher>``.
    """
    ids = 'tokenizer(prompt, add_special_tokens=False)["input_ids"]'
    decoder = info.kind == "decoder"
    if decoder and special.bos is not None and info.format.chat is None:
        ids = f"[{special.bos}] + {ids}"
    elif not decoder:
        ids = f"{ids} + [{special.eos}]"
    return _TEMPLATE.format(
        loader="AutoModelForCausalLM" if decoder else "AutoModelForSeq2SeqLM",
        prompt=repr(info.format.prompt(objective, question, info.kind)),
        ids=ids,
        tokens=info.max_target_tokens,
        eos=special.eos,
        pad=special.pad,
        start="inputs.shape[1]" if decoder else "1",
    )
