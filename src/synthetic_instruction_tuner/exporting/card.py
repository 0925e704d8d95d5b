"""The card of an export: a README.md in the form of the Hub, made from what is known, with no path of this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.escaping import markdown, metadata
from synthetic_instruction_tuner.models.files import EMBEDDED, local_folder

CARD = "README.md"
_FORMS = {
    "adapter": "the adapter alone; its base model is needed beside it",
    "merged": "the base model with the LoRA adapter merged into its weights",
    "soft_prompt": "the base model with the soft prompt as {count} tokens of its vocabulary",
}


@dataclass(frozen=True, slots=True)
class Score:
    """A result on one benchmark.

    Attributes:
        benchmark, metric: what was measured.
        items: how many there are.
        value, low, high: the mean, and its interval of 95 %.
        base: the same of the untuned model; None where it was not evaluated.
    """

    benchmark: str
    metric: str
    items: int
    value: float
    low: float
    high: float
    base: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says of a student and its training.

    Attributes:
        label: the method's name, for people.
        license: the base model's, as the Hub names it; None where it is not known.
        training: names and values of the training and its settings.
        data: what the data are, a line each.
        scores: results, where the variant was evaluated.
    """

    label: str
    license: str | None = None
    training: Sequence[tuple[str, str]] = ()
    data: Sequence[str] = ()
    scores: Sequence[Score] = field(default=())

    def digest(self) -> str:
        """Returns a hash of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def base_name(base: ModelConfig) -> str:
    """Returns the base model's name, which is no path: a Hub id, ``nano:NAME``, or the name of a local folder."""
    return base.path if on_hub(base) or base.path.startswith(EMBEDDED) else base.name


def on_hub(base: ModelConfig) -> bool:
    """Returns whether others find the base model by its id."""
    return local_folder(base) is None


def card(base: ModelConfig, facts: CardFacts, form: str, dtype: str, notes: Sequence[str], count: int = 0) -> str:
    """Returns the card as Markdown with YAML metadata.

    Args:
        base: the base model.
        facts: of the training.
        form: one of ``adapter``, ``merged`` and ``soft_prompt``.
        dtype: the type of the weights.
        notes: what was measured of the export, and what its users must know.
        count: tokens of the soft prompt.
    """
    name = base_name(base)
    what = _FORMS[form].format(count=count)
    parts = [
        f"---\n{yaml.safe_dump(metadata(_head(base, facts, form)), sort_keys=False, allow_unicode=True)}---",
        f"# {markdown(name)}, {markdown(facts.label)}",
        f"A language model tuned with Synthetic Instruction Tuner: {what}. Its weights are in {dtype}."
        if form != "adapter"
        else f"An adapter for a language model, tuned with Synthetic Instruction Tuner: {what}.",
        "## Use",
        _use(base, form),
        "## What it is",
        "\n".join(f"- {note}" for note in [f"base model: {markdown(name)}{_license(facts)}", *notes]),
    ]
    if facts.training:
        rows = "\n".join(f"| {markdown(key)} | {markdown(value)} |" for key, value in facts.training)
        parts += ["## Training", f"| setting | value |\n|---|---|\n{rows}"]
    if facts.data:
        parts += ["## Data", "\n".join(f"- {markdown(line)}" for line in facts.data)]
    parts += ["## Results", _results(facts.scores)]
    return "\n\n".join(parts) + "\n"


def _head(base: ModelConfig, facts: CardFacts, form: str) -> dict[str, Any]:
    tags = ["prompt-tuning" if "prompt" in facts.label else "lora", "synthetic-instruction-tuner"]
    head: dict[str, Any] = {
        "library_name": "peft" if form == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": tags,
    }
    if facts.license:
        head["license"] = facts.license
    if on_hub(base):
        head |= {"base_model": base.path, "base_model_relation": "adapter" if form == "adapter" else "finetune"}
    return head


def _license(facts: CardFacts) -> str:
    return f", license {markdown(facts.license)}" if facts.license else ", license not known: see the base model's own"


def _use(base: ModelConfig, form: str) -> str:
    """Returns what loads the export, from within its folder."""
    if form != "adapter":
        return """```python
from transformers import pipeline
chat = pipeline("text-generation", model=".", max_new_tokens=64)
print(chat([{"role": "user", "content": "What is the sea?"}])[0]["generated_text"][-1]["content"])
```

`.` is the folder of this file. `sit chat`, vLLM (`vllm serve .`) and lm-evaluation-harness (`--model hf --model_args
pretrained=. --apply_chat_template`) take it the same way."""
    if on_hub(base):
        return """```python
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer
model, tokenizer = AutoPeftModelForCausalLM.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```"""
    more, where = "", '"path/to/the/base/model"'
    if base.path.startswith(EMBEDDED):
        more = (
            "\nfrom synthetic_instruction_tuner.config import ModelConfig"
            "\nfrom synthetic_instruction_tuner.models.loading import resolve"
        )
        where = f"resolve(ModelConfig(path={base.path!r}))"
    return f"""```python
from peft import PeftModel
from transformers import AutoModelForCausalLM{more}
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({where}), ".")
```"""


def _results(scores: Sequence[Score]) -> str:
    if not scores:
        return "It was not evaluated."
    rows = "\n".join(
        f"| {markdown(s.benchmark)} | {markdown(s.metric)} | {s.items:,} | {_interval((s.value, s.low, s.high))} | "
        f"{_interval(s.base) if s.base else 'not evaluated'} |"
        for s in scores
    )
    head = "| benchmark | metric | items | this model | untuned |\n|---|---|---|---|---|"
    return f"Means with intervals of 95 %.\n\n{head}\n{rows}"


def _interval(value: tuple[float, float, float]) -> str:
    mean, low, high = value
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if low == low else f"{mean:.3f}"
