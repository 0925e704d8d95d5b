"""A training that is killed at any moment ends like one that was not.

What kills it here is an exception that nothing handles; `run/test_pipeline.py` kills processes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig, SftConfig
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training import exact_resume
from synthetic_instruction_tuner.training import run_training as shared
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.files.sealed_folder import SEAL, owner
from synthetic_instruction_tuner.training.files.workspace import Workspace
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

Report = Callable[..., None]
Train = Callable[..., Any]
FAST: dict[str, Any] = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "save_steps": 2,
    "learning_rate": 1e-2,
}
RESULT = ("final/adapter_model.safetensors", "final/adapter_config.json", "training_log.jsonl", "data_order.jsonl")


class Killed(BaseException):
    """Stands for kill -9: nothing in the code under test handles it."""


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory, student: ModelConfig, records: list[Record]) -> Path:
    """An uninterrupted LoRA training with dropout."""
    output = tmp_path_factory.mktemp("whole") / "sft"
    LoraSft(SftConfig(**FAST)).train(student, records, output)
    return output


@pytest.fixture(params=["sft", "prompt_tuning", "dpo"])
def train(
    request: pytest.FixtureRequest,
    student: ModelConfig,
    records: list[Record],
    pairs: list[PreferencePair],
    sft: Path,
    tmp_path: Path,
) -> Train:
    """Trains into a folder; one for each method. SFT into ``whole`` is done already."""
    if request.param == "sft":
        shutil.copytree(sft, tmp_path / "whole")
        return lambda output, report=None: LoraSft(SftConfig(**FAST)).train(student, records, output, report)
    if request.param == "prompt_tuning":
        config = PromptTuningConfig(**FAST, num_virtual_tokens=4)
        return lambda output, report=None: PromptTuning(config).train(student, records, output, report)
    dpo = DpoConfig(**FAST | {"num_train_epochs": 3.0, "sft_weight": 2.0})
    return lambda output, report=None: Dpo(dpo).train(student, sft / "final", pairs, output, report)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory, student: ModelConfig, records: list[Record]) -> Path:
    """A LoRA training that was killed with checkpoints of steps 2 and 4; tests take copies."""
    output = tmp_path_factory.mktemp("killed") / "sft"
    with pytest.raises(Killed):
        LoraSft(SftConfig(**FAST)).train(student, records, output, kill_at(5, []))
    return output


def same(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in RESULT)


def kill_at(wanted: int, seen: list[int]) -> Report:
    def report(step: int, total: int, figures: dict[str, float]) -> None:
        seen.append(step)
        if step == wanted:
            raise Killed

    return report


def test_resumed_equals_uninterrupted(tmp_path: Path, train: Train) -> None:
    whole = train(tmp_path / "whole")
    seen: list[int] = []
    for step in (3, 6):  # between checkpoints, and at a step whose checkpoint is not yet written
        with pytest.raises(Killed):
            train(tmp_path / "broken", kill_at(step, seen))
    assert len(list((tmp_path / "broken/checkpoints").glob("checkpoint-*"))) <= 2
    resumed = train(tmp_path / "broken", kill_at(0, seen))
    assert seen[:7] == [1, 2, 3, 3, 4, 5, 6]
    assert seen[7] == 5  # the last complete checkpoint was at step 4
    assert same(tmp_path / "whole", tmp_path / "broken")
    assert (resumed.first_loss, resumed.final_loss) == (whole.first_loss, whole.final_loss)
    assert not (tmp_path / "broken/checkpoints").exists()


def test_a_checkpoint_that_was_not_finished_is_ignored(
    tmp_path: Path, sft: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    real = exact_resume.seal

    def dies(folder: Path, owner: str, facts: dict[str, float]) -> None:
        calls.append(folder)
        if len(calls) == 2:
            (folder / "optimizer.pt").write_bytes(b"half")
            raise Killed
        real(folder, owner, facts)

    monkeypatch.setattr(exact_resume, "seal", dies)
    with pytest.raises(Killed):
        LoraSft(SftConfig(**FAST)).train(student, records, tmp_path)
    assert not (calls[1] / SEAL).exists()
    seen: list[int] = []
    LoraSft(SftConfig(**FAST)).train(student, records, tmp_path, kill_at(0, seen))
    assert seen[0] == 3
    assert same(tmp_path, sft)


def test_a_result_that_was_not_finished_is_written_again(
    tmp_path: Path, sft: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(shared, "save_adapter", lambda *_: (_ for _ in ()).throw(Killed))
        LoraSft(SftConfig(**FAST)).train(student, records, tmp_path)
    assert not (tmp_path / "final").exists()
    seen: list[int] = []
    LoraSft(SftConfig(**FAST)).train(student, records, tmp_path, kill_at(0, seen))
    assert seen == []
    assert same(tmp_path, sft)


@pytest.mark.parametrize("change", ["seed", "config", "data"])
def test_changed_settings_or_data_start_over(
    tmp_path: Path, interrupted: Path, student: ModelConfig, records: list[Record], change: str
) -> None:
    output, seen = Path(shutil.copytree(interrupted, tmp_path / "sft")), list[int]()
    config = SftConfig(**FAST | {"learning_rate": 5e-3}) if change == "config" else SftConfig(**FAST)
    data = records[:-1] if change == "data" else records
    with pytest.raises(Killed):
        LoraSft(config, seed=int(change == "seed")).train(student, data, output, kill_at(1, seen))
    assert seen == [1]


def test_a_smaller_micro_batch_continues(
    tmp_path: Path, interrupted: Path, student: ModelConfig, records: list[Record]
) -> None:
    output, seen = Path(shutil.copytree(interrupted, tmp_path / "sft")), list[int]()
    smaller = SftConfig(
        **FAST | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4, "gradient_checkpointing": True}
    )
    totals: list[int] = []
    with pytest.raises(Killed):
        LoraSft(smaller).train(
            student, records, output, lambda *step: (totals.append(step[1]), kill_at(6, seen)(*step))
        )
    assert seen == [5, 6] and totals == [11, 11]


def test_the_trained_rows_are_those_in_the_order_file(
    tmp_path: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from synthetic_instruction_tuner.training import supervised

    trained: list[list[int]] = []
    step = supervised.SupervisedTrainer.training_step

    def spy(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        sizes = inputs["attention_mask"].sum(1).tolist()
        trained.extend(ids[:n] for ids, n in zip(inputs["input_ids"].tolist(), sizes, strict=True))
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(supervised.SupervisedTrainer, "training_step", spy)
    LoraSft(SftConfig(**FAST)).train(student, records, tmp_path)
    template = supervised.ChatTemplate.from_tokenizer(supervised.load_tokenizer(student))
    ids = {record.id: template.training_ids(record.messages())[0] for record in records}
    order = [json.loads(line)["id"] for line in (tmp_path / "data_order.jsonl").read_text().splitlines()]
    assert trained == [ids[id] for id in order]
    shutil.rmtree(tmp_path)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "changed": flip,
    "empty": lambda path: path.write_bytes(b""),
    "missing": Path.unlink,
    "folder": to_folder,
    "other JSON": lambda path: path.write_text("[" * 5000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkpoint_damaged_in_any_file_is_put_aside_and_named(
    tmp_path: Path, interrupted: Path, damage: str
) -> None:
    owned = Workspace(interrupted, owner(interrupted / "checkpoints/checkpoint-4") or "")
    assert owned.open() == interrupted / "checkpoints/checkpoint-4"
    files = sorted(path.name for path in (interrupted / "checkpoints/checkpoint-4").iterdir())
    assert len(files) > 5 and SEAL in files
    for name in files:
        copy, notes = Path(shutil.copytree(interrupted, tmp_path / name)), list[str]()
        DAMAGE[damage](copy / "checkpoints/checkpoint-4" / name)
        work = Workspace(copy, owned.fingerprint, notes.append)
        assert work.open() == copy / "checkpoints/checkpoint-2"
        assert len(notes) == 1 and "checkpoint-4" in notes[0] and name in notes[0]
        assert [path.name for path in (copy / "checkpoints/damaged").iterdir()] == ["checkpoint-4.damaged-1"]


def test_after_damaged_checkpoints_the_adapter_is_the_same(
    tmp_path: Path, interrupted: Path, sft: Path, student: ModelConfig, records: list[Record]
) -> None:
    output, seen = Path(shutil.copytree(interrupted, tmp_path / "sft")), list[int]()
    for name, begins in (("checkpoint-4", 3), ("checkpoint-2", 1)):
        flip(output / "checkpoints" / name / "trainable.safetensors")
        with pytest.raises(Killed):  # at once: no checkpoint is new
            LoraSft(SftConfig(**FAST)).train(student, records, output, kill_at(begins, seen))
    assert seen == [3, 1]
    LoraSft(SftConfig(**FAST)).train(student, records, output)
    assert same(output, sft) and not (output / "checkpoints").exists()


def test_a_damaged_result_is_not_believed(
    tmp_path: Path, sft: Path, student: ModelConfig, records: list[Record]
) -> None:
    output, seen = Path(shutil.copytree(sft, tmp_path / "sft")), list[int]()
    for name in ("final/adapter_model.safetensors", "final/README.md", "metrics.json"):
        whole = (output / name).read_bytes()
        flip(output / name)
        with pytest.raises(Killed):
            LoraSft(SftConfig(**FAST)).train(student, records, output, kill_at(1, seen))
        (output / name).write_bytes(whole)
    assert LoraSft(SftConfig(**FAST)).train(student, records, output, kill_at(1, seen)).steps == 11
    assert seen == [1, 1, 1]
    flip(output / "final/README.md")
    LoraSft(SftConfig(**FAST)).train(student, records, output)
    assert same(output, sft) and (output / "final/README.md").read_bytes() == (sft / "final/README.md").read_bytes()
