"""What a soft prompt's beginning changes: vocabulary, text and random numbers at several learning rates, on nano.

    python benchmarks/prompt_inits.py runs/nano/data/filtered/instructions_filtered.json

A soft prompt of 20 tokens is trained on student-llama with the first 320 records, one epoch, 16 a step. The loss is the
mean over the tokens of the next 80 records' responses. A row takes about ten seconds on a free CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from synthetic_instruction_tuner.config import ModelConfig, PromptTuningConfig
from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries
from synthetic_instruction_tuner.records import Record

TRAINED, HELD_OUT = 320, 80
TEXT = "Answer the question of the user in a friendly, helpful and complete way."
RATES = (0.002, 0.02, 0.2)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    quiet_libraries()
    rows = json.loads(given.records.read_text(encoding="utf-8"))[: TRAINED + HELD_OUT]
    records = [Record(row["id"], row["instruction"], row["response"]) for row in rows]
    print(f"untuned: {held_out(records[TRAINED:], None):.3f} nats per token")
    print(f"{'beginning':11} {'rate':>6}  held-out loss by seed")
    for beginning, rate in itertools.product(("vocabulary", "text", "random"), RATES):
        found, started = [], time.monotonic()
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as place:
                train(records[:TRAINED], beginning, rate, seed, Path(place))
                found.append(held_out(records[TRAINED:], Path(place) / "final"))
        losses = " ".join(f"{loss:.3f}" for loss in found)
        print(f"{beginning:11} {rate:6g}  {losses}  ({time.monotonic() - started:.0f} s)", flush=True)


def train(records: Sequence[Record], beginning: Any, rate: float, seed: int, place: Path) -> None:
    """Trains one soft prompt."""
    from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

    config = PromptTuningConfig(
        prompt_tuning_init=beginning,
        prompt_tuning_init_text=TEXT if beginning == "text" else "",
        learning_rate=rate,
        num_train_epochs=1,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=1,
        max_length=320,
    )
    PromptTuning(config, seed=seed).train(ModelConfig(path="nano:student-llama"), records, place)


def held_out(records: Sequence[Record], adapter: Path | None) -> float:
    """Returns the mean loss over the responses' tokens, in nats."""
    from peft import PeftModel

    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer
    from synthetic_instruction_tuner.training.examples import sft_batch, tokenize_records

    student = ModelConfig(path="nano:student-llama")
    model = load_causal_lm(student, "float32", "cpu")
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    rows = tokenize_records(records, ChatTemplate.from_tokenizer(load_tokenizer(student)), 320).rows
    total, count = 0.0, 0
    for start in range(0, len(rows), 16):
        batch = sft_batch(rows[start : start + 16])
        trained = int((batch["labels"][:, 1:] >= 0).sum())
        with torch.no_grad():
            total += float(model(**batch).loss) * trained
        count += trained
    return total / count


if __name__ == "__main__":
    main()
