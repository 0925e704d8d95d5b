"""Exports one variant of a student: as an ordinary model, or as an adapter alone.

    Export(ModelConfig(path="nano:student-llama"), "sft", Path("runs/nano/models/sft/student-llama/final")).write(
        Path("out"), CardFacts("LoRA SFT")
    )

What was written is read back, and its logits are compared with those of the base model with its adapter, before the
folder gets its name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import apply_umask, write_text
from synthetic_instruction_tuner.errors import UserError, disk_full
from synthetic_instruction_tuner.exporting.base_model import (
    BYTES,
    adapter_type,
    bytes_needed,
    export_type,
    load_unquantized,
    require_base_model,
)
from synthetic_instruction_tuner.exporting.card import CARD, CardFacts, base_name, card, on_hub
from synthetic_instruction_tuner.exporting.folder import (
    CARD_FACTS,
    check_place,
    is_whole,
    new_folder,
    recorded,
    require_room,
    write_record,
)
from synthetic_instruction_tuner.exporting.llama_cpp.conversion import Conversion
from synthetic_instruction_tuner.exporting.trial import conversations, difference, logits
from synthetic_instruction_tuner.models.adapters import (
    BASE,
    adapter_config,
    adapter_digest,
    is_soft_prompt,
    require_base,
)
from synthetic_instruction_tuner.models.files import EMBEDDED

STEPS = 6
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export has written.

    Attributes:
        folder: where it is.
        form: ``merged``, ``soft_prompt`` or ``adapter``.
        dtype: the type of the weights; of an adapter alone that of its own.
        files: the sizes of its files, in bytes.
        difference: how far its logits are from the adapter's beside its base model; empty where nothing was computed.
        already: whether it was there before, whole.
        notes: what its user must know.
    """

    folder: Path
    form: str
    dtype: str
    files: Mapping[str, int]
    difference: str = ""
    already: bool = False
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """One variant of a student, and how it is exported.

    Attributes:
        base: the base model, as it was trained on.
        variant: the method's name.
        adapter: the folder of the adapter.
        alone: whether only the adapter is wanted.
        dtype: ``float32``, ``float16`` or ``bfloat16``; None for that of the base model's files.
        gguf: a GGUF format to write too, such as ``q8_0``.
        trained_in: how the base model was quantized in training, such as ``nf4``; "" where it was not.
    """

    base: ModelConfig
    variant: str
    adapter: Path
    alone: bool = False
    dtype: str | None = None
    gguf: str | None = None
    trained_in: str = ""

    @property
    def form(self) -> str:
        """What is written: ``adapter``, ``merged`` or ``soft_prompt``."""
        return "adapter" if self.alone else "soft_prompt" if is_soft_prompt(self.adapter) else "merged"

    def write(self, output: Path, facts: CardFacts, *, force: bool = False, step: Step = lambda what: None) -> Exported:
        """Writes the export; where it is already there, whole, with this card, nothing is done.

        Args:
            output: its folder.
            facts: for its card.
            force: whether what is in the folder may be replaced; it is written again then in any case.
            step: is told what is done next, `STEPS` times at most.

        Raises:
            UserError: the base model is gone, the adapter does not fit it, or the folder holds something else.
            RunError: the disk is full, or the export does not compute what was trained.
        """
        self._require_fitting()
        config = adapter_config(self.adapter)
        if not self.alone:
            require_base_model(self.base)
            require_base(self.adapter, self.base)
        dtype = adapter_type(self.adapter) if self.alone else export_type(self.base, self.dtype)
        identity = self._identity(dtype) | {CARD_FACTS: facts.digest()}
        if not force and is_whole(output, identity):
            return Exported(output, self.form, dtype, _sizes(output), already=True)
        check_place(output, identity, force)
        conversion = Conversion.found(self.gguf) if self.gguf else None
        factor = 1.0 + (conversion.share(BYTES[dtype]) if conversion else 0.0)
        require_room(output, 0.0 if self.alone else bytes_needed(self.base, dtype) * factor)
        with new_folder(output) as work, _whole_disk(output):
            if self.alone:
                notes, found = _write_adapter(self, work, step), ""
            else:
                notes, found = _write_model(self, work, dtype, output, step)
            if conversion:
                step(f"writing {self.gguf}")
                notes += conversion.write(work, f"{self.base.name}-{self.variant}")
            count = int(config.get("num_virtual_tokens") or 0)
            write_text(work / CARD, card(self.base, facts, self.form, dtype, notes, count))
            apply_umask(work)
            write_record(work, identity)
            sizes = _sizes(work)
        return Exported(output, self.form, dtype, sizes, found, notes=notes)

    def _require_fitting(self) -> None:
        if self.alone and self.gguf:
            fix = "Leave out --adapter: the merged model is converted."
            raise UserError("An adapter alone is not converted to GGUF.", "", fix)
        if self.alone and self.dtype:
            cause = "Its weights are copied as they are."
            raise UserError("An adapter alone has no other type.", cause, "Leave out --dtype, or --adapter.")

    def _identity(self, dtype: str) -> dict[str, Any]:
        return {
            "format": 1,
            "student": self.base.name,
            "base": base_name(self.base),
            "variant": self.variant,
            "form": self.form,
            "dtype": dtype,
            "gguf": self.gguf,
            "adapter": adapter_digest(self.adapter, self.base),
        }


def _sizes(folder: Path) -> dict[str, int]:
    return {name: int(entry["size"]) for name, entry in (recorded(folder) or {})["files"].items()}


def _write_adapter(export: Export, work: Path, step: Step) -> list[str]:
    """Writes the adapter with what stands beside it; its weights are copied byte by byte."""
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.exporting.tokenizer_files import save_generation_settings, save_tokenizer
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    step("copying the adapter")
    shutil.copyfile(export.adapter / "adapter_model.safetensors", work / "adapter_model.safetensors")
    if (export.adapter / BASE).is_file():
        shutil.copyfile(export.adapter / BASE, work / BASE)
    named = adapter_config(export.adapter) | {"base_model_name_or_path": base_name(export.base)}
    write_text(work / "adapter_config.json", json.dumps(named, ensure_ascii=False, indent=2, sort_keys=True))
    step("writing the tokenizer")
    tokenizer = _tokenizer_beside(export.adapter) or load_tokenizer(export.base)
    save_generation_settings(None, ChatTemplate.from_tokenizer(tokenizer), tokenizer, work)
    save_tokenizer(tokenizer, work)
    if on_hub(export.base):
        return ["`adapter_config.json` names the base model, which is loaded from the Hub"]
    if export.base.path.startswith(EMBEDDED):
        return ["its base model is a part of Synthetic Instruction Tuner, which loads it as shown above"]
    return ["its base model is not on the Hub: give its folder, as shown above"]


def _tokenizer_beside(adapter: Path) -> Any:
    """Returns the tokenizer that was saved with an adapter; None for one of an earlier version."""
    from transformers import AutoTokenizer

    if not (adapter / "tokenizer_config.json").is_file():
        return None
    try:
        found = AutoTokenizer.from_pretrained(str(adapter))
    except (OSError, ValueError, KeyError):
        return None
    return found if found.chat_template else None


def _write_model(export: Export, work: Path, dtype: str, output: Path, step: Step) -> tuple[list[str], str]:
    """Writes an ordinary model; returns what is to be known of it, and how far its logits are from the adapter's."""
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.exporting import tokenizer_files as files
    from synthetic_instruction_tuner.exporting.merged_lora import merge
    from synthetic_instruction_tuner.exporting.soft_tokens import add_tokens, with_tokens
    from synthetic_instruction_tuner.models.adapters import load_soft_prompt
    from synthetic_instruction_tuner.models.loading import load_tokenizer
    from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries

    step(f"reading {export.base.name}")
    tokenizer = load_tokenizer(export.base)
    model = load_unquantized(export.base, dtype)
    quiet_libraries()
    require_room(output, sum(p.numel() for p in model.parameters()) * BYTES[dtype])
    template = ChatTemplate.from_tokenizer(load_tokenizer(export.base), model.generation_config)
    rows, known, ids = conversations(template), len(tokenizer), list[int]()
    vocabulary = min(known, model.get_input_embeddings().num_embeddings)
    tied = model.get_input_embeddings().weight is getattr(model.get_output_embeddings(), "weight", None)
    step("adding what was trained")
    if export.form == "soft_prompt":
        bos = files.unwritten_bos(tokenizer, template)
        before = files.prompts(tokenizer, [tokenizer.bos_token_id] if bos else [])
        names, ids = add_tokens(tokenizer, len(load_soft_prompt(export.adapter)))
        files.begin_with(tokenizer, names, bos)
        model, found = with_tokens(model, export.adapter, ids, known, rows)
        step("writing the tokenizer")
        tokenizer = files.save_exact_tokenizer(tokenizer, work, ids, before)
        what = "model with its soft prompt as tokens"
        notes = _soft_notes(names, tied, model, dtype)
    else:
        model, found = merge(model, export.adapter, rows, vocabulary)
        step("writing the tokenizer")
        files.save_tokenizer(tokenizer, work)
        what, notes = "merged model", []
    found.require_rounding(dtype, what)
    files.save_generation_settings(model, template, tokenizer, work, ids)
    step(f"writing the weights in {dtype}")
    whole = [[*ids, *row] for row in rows]
    ours = logits(model, whole, vocabulary)
    model.save_pretrained(str(work))
    del model
    step("reading them back")
    again = logits(_read_back(work, dtype, export.base.trust_remote_code), whole, vocabulary)
    difference(again, ours).require_rounding(dtype, "model that was written")
    largest = f"largest difference of its logits from those of the base model with its adapter, in {dtype}: {found}"
    return [largest, *_trained_beside(export.trained_in), *notes], str(found)


def _read_back(work: Path, dtype: str, trusted: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    kind = getattr(torch, dtype)
    return AutoModelForCausalLM.from_pretrained(str(work), dtype=kind, trust_remote_code=trusted).eval()


def _trained_beside(quantized: str) -> list[str]:
    if not quantized:
        return []
    return [f"the adapter was trained beside weights in {quantized}; here it is added to the unquantized ones"]


def _soft_notes(names: Sequence[str], tied: bool, model: Any, dtype: str) -> list[str]:
    head = model.get_output_embeddings().weight
    notes = [
        f"the chat template begins every conversation with `{names[0]}` to `{names[-1]}`; a text without the template "
        "is read by the untuned model",
        "the tokenizer adds no tokens by itself: all that the model reads is in the template",
        "greedy decoding never writes these tokens: their row of the output layer is the mean of all others, so their "
        f"logit is never the largest. Sampling may, with at most {len(names) / len(head):.1%} of the probability for "
        "all of them together, nearly always far less; programs that know `suppress_tokens` leave them out altogether",
    ]
    if tied:
        size = head.numel() * BYTES[dtype] / 1e6
        notes.append(
            f"the output layer, which the base model shares with its embeddings, is one of its own: {size:,.1f} MB"
        )
    return notes


@contextmanager
def _whole_disk(place: Path) -> Iterator[None]:
    """Turns what libraries say of a full disk into the error for that."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ == "SafetensorError" and "space" in str(error).lower():
            raise disk_full(place) from error
        raise
