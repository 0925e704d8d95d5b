"""The card of an export: a README.md in the form of the Hub, made from what is known, with no path of this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.escaping import markdown, metadata
from synthetic_instruction_tuner.exporting.results import Score, model_index, results_table
from synthetic_instruction_tuner.models.files import EMBEDDED, local_folder

CARD = "README.md"
_FORMS = {
    "adapter": "the adapter alone; its base model is needed beside it",
    "merged": "the base model with the LoRA adapter merged into its weights",
    "soft_prompt": "the base model with the soft prompt as {count} tokens of its vocabulary",
}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says of a student and its training.

    Attributes:
        label: the method's name, for people.
        license: the base model's, as it is called; None where it is not known.
        training: names and values of the training and its settings.
        data: what the data are, a line each.
        scores: results, where the variant was evaluated.
        license_head: the license as the metadata of a card name it; empty: as it is called.
        cost: what the training took.
        contamination: whether benchmark items are in the training data, a line each.
        limits: what nobody should take the model for, a line each.
        repository: the id that others load the export by; empty where it is loaded from its own folder.
        data_repositories: ids of the data on the Hub.
    """

    label: str
    license: str | None = None
    training: Sequence[tuple[str, str]] = ()
    data: Sequence[str] = ()
    scores: Sequence[Score] = ()
    license_head: Mapping[str, str] = field(default_factory=dict)
    cost: Sequence[tuple[str, str]] = ()
    contamination: Sequence[str] = ()
    limits: Sequence[str] = ()
    repository: str = ""
    data_repositories: Sequence[str] = ()

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
        f"# {markdown(_title(base, facts))}",
        f"A language model tuned with Synthetic Instruction Tuner: {what}. Its weights are in {dtype}."
        if form != "adapter"
        else f"An adapter for a language model, tuned with Synthetic Instruction Tuner: {what}.",
        "## Use",
        use(base, form, facts.repository),
        "## What it is",
        "\n".join(f"- {note}" for note in [f"base model: {markdown(name)}{_license(facts)}", *notes]),
        *_table("Training", "setting", facts.training),
        *_list("Data", facts.data),
        "## Results",
        results_table(facts.scores),
        *_list("Contamination", facts.contamination),
        *_table("Cost", "quantity", facts.cost),
        *_list("Limits", facts.limits),
    ]
    return "\n\n".join(parts) + "\n"


def _title(base: ModelConfig, facts: CardFacts) -> str:
    return f"{base_name(base)}, {facts.label}"


def _table(title: str, column: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    lines = "\n".join(f"| {markdown(key)} | {markdown(value)} |" for key, value in rows)
    return [f"## {title}", f"| {column} | value |\n|---|---|\n{lines}"]


def _list(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {markdown(line)}" for line in lines)] if lines else []


def _head(base: ModelConfig, facts: CardFacts, form: str) -> dict[str, Any]:
    tags = ["prompt-tuning" if "prompt" in facts.label else "lora", "synthetic-instruction-tuner"]
    head: dict[str, Any] = {
        "library_name": "peft" if form == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": tags,
    }
    head |= facts.license_head or ({"license": facts.license} if facts.license else {})
    if on_hub(base):
        head |= {"base_model": base.path, "base_model_relation": "adapter" if form == "adapter" else "finetune"}
    if facts.data_repositories:
        head["datasets"] = list(facts.data_repositories)
    return head | model_index(_title(base, facts), facts.scores)


def _license(facts: CardFacts) -> str:
    return f", license {markdown(facts.license)}" if facts.license else ", license not known: see the base model's own"


def use(base: ModelConfig, form: str, repository: str = "") -> str:
    """Returns Markdown with the code that loads an export.

    Args:
        base: the base model.
        form: one of ``adapter``, ``merged`` and ``soft_prompt``.
        repository: its id on the Hub; empty: the code runs within the export's folder.
    """
    where = repository or "."
    if form != "adapter":
        takes = "`.` is the folder of this file. `sit chat`" if not repository else "`sit chat` with its folder"
        return f"""```python
from transformers import pipeline
chat = pipeline("text-generation", model="{where}", max_new_tokens=64)
print(chat([{{"role": "user", "content": "What is the sea?"}}])[0]["generated_text"][-1]["content"])
```

{takes}, vLLM (`vllm serve {where}`) and lm-evaluation-harness (`--model hf --model_args
pretrained={where} --apply_chat_template`) take it the same way."""
    if on_hub(base):
        return f"""```python
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer
model, tokenizer = AutoPeftModelForCausalLM.from_pretrained("{where}"), AutoTokenizer.from_pretrained("{where}")
```"""
    more, base_folder = "", '"path/to/the/base/model"'
    if base.path.startswith(EMBEDDED):
        more = (
            "\nfrom synthetic_instruction_tuner.config import ModelConfig"
            "\nfrom synthetic_instruction_tuner.models.loading import resolve"
        )
        base_folder = f"resolve(ModelConfig(path={base.path!r}))"
    return f"""```python
from peft import PeftModel
from transformers import AutoModelForCausalLM{more}
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base_folder}), "{where}")
```"""
