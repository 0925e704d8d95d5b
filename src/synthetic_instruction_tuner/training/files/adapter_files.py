"""The files of a finished adapter: PEFT's own, and what makes the folder usable alone (tokenizer, chat template, card).

The base model is named so that PEFT finds it: a Hub id as it is, a local or embedded model by its absolute path. That
path holds on this machine only; the card says how to give another one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.methods import LABELS
from synthetic_instruction_tuner.models.adapters import write_base
from synthetic_instruction_tuner.models.files import EMBEDDED, local_folder
from synthetic_instruction_tuner.models.loading import load_tokenizer
from synthetic_instruction_tuner.training.metrics import TrainingMetrics

if TYPE_CHECKING:
    from peft import PeftModel

CARD = "README.md"


def save_adapter(model: PeftModel, base: ModelConfig, metrics: TrainingMetrics, folder: Path) -> None:
    """Writes the adapter with its tokenizer, chat template and card."""
    config = model.peft_config["default"]
    config.base_model_name_or_path, config.revision = base_name(base), base.revision
    if isinstance(modules := getattr(config, "target_modules", None), set):
        config.target_modules = sorted(modules)  # the order of a set differs between processes
    model.create_or_update_model_card = lambda output_dir: None  # the one below is written instead
    model.save_pretrained(str(folder), save_embedding_layers=False, selected_adapters=["default"])
    save_tokenizer(base, folder)
    write_base(folder, base)
    write_text(folder / CARD, card(base, metrics))


def save_tokenizer(base: ModelConfig, folder: Path) -> None:
    """Writes the tokenizer that the adapter was trained with, and its chat template."""
    load_tokenizer(base).save_pretrained(str(folder))


def base_name(base: ModelConfig) -> str:
    """Returns what `from_pretrained` takes for the base model, whatever the working folder is."""
    folder = local_folder(base)
    return base.path if folder is None else os.path.abspath(folder)


def card(base: ModelConfig, metrics: TrainingMetrics) -> str:
    """Returns the adapter's model card in the form of the Hub; it names no path of this machine."""
    on_hub = local_folder(base) is None
    facts = {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["prompt-tuning" if metrics.method == "prompt_tuning" else "lora", metrics.method, "trl"],
    } | ({"base_model": base.path} if on_hub else {})
    name = _text(base.path if on_hub or base.path.startswith(EMBEDDED) else base.name)
    cut = f"; {metrics.truncated:,} rows were cut to the maximum length" if metrics.truncated else ""
    return f"""---
{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---

# {name}, {LABELS.get(metrics.method, metrics.method)}

This is an adapter for the language model {name}, trained with Synthetic Instruction Tuner.

- {metrics.examples:,} examples, {metrics.epochs:g} epochs, {metrics.steps:,} steps, seed {metrics.seed}
- {metrics.trained_tokens:,} tokens that the loss counts{cut}
- loss: {metrics.first_loss:.3f} at the first step, {metrics.final_loss:.3f} at the end
- {metrics.trainable_parameters:,} trained parameters{_adapted(metrics)}

The folder has the adapter, and the tokenizer and chat template that it was trained with. To load it from there:

```python
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

model = AutoPeftModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```
{"" if on_hub else _elsewhere(base)}"""


def _adapted(metrics: TrainingMetrics) -> str:
    if not metrics.adapted:
        return ""
    names = ", ".join(f"`{name}`" for name in metrics.adapted)
    return f"\n- LoRA beside {metrics.adapted_layers:,} layers: {names}"


def _elsewhere(base: ModelConfig) -> str:
    if base.path.startswith(EMBEDDED):
        where = f"resolve(ModelConfig(path={base.path!r}))"
        more = """from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models.loading import resolve
"""
    else:
        where, more = '"path/to/the/base/model"', ""
    return f"""
`adapter_config.json` names the folder of the base model on the machine of the training. On another machine, say where
the base model is:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM
{more}
base = AutoModelForCausalLM.from_pretrained({where})
model = PeftModel.from_pretrained(base, ".")
```
"""


def _text(name: str) -> str:
    """Returns a name as text on one line, without markup or control characters."""
    line = "".join(letter for letter in " ".join(name.split()) if letter.isprintable())
    return re.sub(r"([\\`*_\[\]<>|&#])", r"\\\1", line)
