"""What the store keeps of a training, so that damaged files are made again without training, except the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.data_files.file_hashes import clear_way, fault, hashes
from synthetic_instruction_tuner.models.adapters import adapter_digest
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.store import Row

CONFIG, WEIGHTS, CARD = "final/adapter_config.json", "final/adapter_model.safetensors", "final/README.md"
ADAPTERS = (CONFIG, WEIGHTS)
KEPT = ("data_order.jsonl", "training_log.jsonl", "metrics.json")
"""The files of a training beside the adapter. The store has their text, and that of the configuration and the card."""


def trained_rows(student: ModelConfig, output: Path, metrics: dict[str, Any]) -> list[Row]:
    """Returns what is kept of a finished training: one row of facts, then one for each text."""
    final = {f"final/{name}": entry for name, entry in hashes(output / "final").items()}
    files = final | hashes(output, KEPT)
    facts = {"metrics": metrics, "adapter": adapter_digest(output / "final", student), "files": files}
    texts = [{"file": name, "text": (output / name).read_bytes().decode()} for name in (*KEPT, CONFIG, CARD)]
    return [facts, *texts]


def facts_of(rows: list[Row]) -> Row:
    """Returns the facts of a finished training; the metrics in the order of their file."""
    texts = [json.loads(row["text"]) for row in rows[1:] if row["file"] == "metrics.json"]
    metrics = rows[0]["metrics"]
    ordered = {name: metrics[name] for text in texts for name in text if name in metrics}
    return rows[0] | {"metrics": ordered or metrics}


def adapter_fault(student: ModelConfig, adapter: Path, row: Row) -> str | None:
    """Returns what is wrong with a trained student's weights, whose loss means training again; None if they are whole.

    Args:
        student: the base model.
        adapter: the folder of the adapter.
        row: the facts that were kept; those of earlier versions have no hashes.
    """
    if adapter.is_symlink():
        return "is a link to elsewhere"
    if "files" in row:
        return fault(adapter.parent / WEIGHTS, row["files"][WEIGHTS])
    try:
        return None if adapter_digest(adapter, student) == row["adapter"] else "is not what was trained here"
    except OSError:
        return "is not complete"


def restore(ctx: Context, student: ModelConfig, output: Path, rows: list[Row]) -> None:
    """Makes the files of a training again that are not what was written; its weights are whole."""
    root, files = ctx.folder.root, rows[0].get("files", {})
    bad = [name for name, entry in files.items() if fault(output / name, entry)]
    if not bad:
        return
    for name in bad:
        if moved := clear_way(output / name, root):
            ctx.display.say(f"  what was at {(output / name).relative_to(root)} is kept as {moved.relative_to(root)}")
    texts = {row["file"]: row["text"] for row in rows[1:]}
    if any(name not in texts for name in bad):
        from synthetic_instruction_tuner.training.files.adapter_files import save_tokenizer

        save_tokenizer(student, output / "final")
    for name in bad:
        if name in texts:
            write_text(output / name, texts[name])
