"""A training goes on by itself after running out of memory and after diverging, and stops when nothing else helps."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small_disk import small_disk
from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig, SftConfig
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training.dpo import Dpo, PreferenceTrainer
from synthetic_instruction_tuner.training.exact_resume import ExactResume
from synthetic_instruction_tuner.training.files.sealed_folder import SEAL
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.metrics import TrainingMetrics
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning
from synthetic_instruction_tuner.training.recovery import loop
from synthetic_instruction_tuner.training.recovery.events import smaller
from synthetic_instruction_tuner.training.recovery.stopping import Stopped, Stopping
from synthetic_instruction_tuner.training.recovery.trouble import Diverged, check_log, is_out_of_memory, window
from synthetic_instruction_tuner.training.supervised import SupervisedTrainer

FAST: dict[str, Any] = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "save_steps": 2,
    "learning_rate": 1e-2,
    "warmup_ratio": 0.0,
    "logging_steps": 1,
    "num_train_epochs": 2.0,
}
CALM: dict[str, Any] = {"lora": {"lora_dropout": 0.0}}
RESULT = ("final/adapter_model.safetensors", "training_log.jsonl", "data_order.jsonl")

Train = Callable[..., TrainingMetrics]


class Killed(BaseException):
    """Stands for kill -9: nothing in the code under test handles it."""


@pytest.fixture
def train(student: ModelConfig, records: list[Record], pairs: list[PreferencePair]) -> Train:
    """Trains with a method into a folder; with dropout, where the method has it."""

    def run(method: str, output: Path, on_step: Any = None, notes: Any = None, **more: Any) -> TrainingMetrics:
        on_note = lambda text: None if notes is None or text.startswith("LoRA adapts") else notes.append(text)  # noqa: E731
        if method == "sft":
            return LoraSft(SftConfig(**FAST | more)).train(student, records, output, on_step, on_note)
        if method == "prompt_tuning":
            config = PromptTuningConfig(**FAST | {"num_virtual_tokens": 4} | more)
            return PromptTuning(config).train(student, records, output, on_step, on_note)
        dpo = DpoConfig(**FAST | {"num_train_epochs": 2.5} | more)
        return Dpo(dpo).train(student, None, pairs, output, on_step, on_note)

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trainings that nothing disturbs, by what they are."""
    return {}


@pytest.fixture
def whole(kept: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, train: Train) -> Callable[..., Path]:
    """Returns the folder of a training that nothing disturbs."""

    def made(method: str, **more: Any) -> Path:
        name = f"{method} {more}"
        if name not in kept:
            kept[name] = tmp_path_factory.mktemp("whole")
            train(method, kept[name], **more)
        return kept[name]

    return made


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]


def losses(output: Path) -> list[float]:
    return [row["loss"] for row in log(output)]


def same(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in RESULT)


def rows_in(inputs: dict[str, torch.Tensor]) -> int:
    return len(inputs["ref_chosen_logps"]) if "ref_chosen_logps" in inputs else len(inputs["input_ids"])


@contextmanager
def in_forward(act: Callable[[Any, dict[str, torch.Tensor]], None]) -> Iterator[None]:
    """Within it `act(trainer, inputs)` runs before every forward pass of a training."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in (SupervisedTrainer, PreferenceTrainer):
            own = kind.compute_loss

            def seen(self: Any, model: Any, inputs: Any, *args: Any, own: Any = own, **kwargs: Any) -> Any:
                act(self, inputs)
                return own(self, model, inputs, *args, **kwargs)

            patch.setattr(kind, "compute_loss", seen)
        yield


def too_little_memory(at: int, size: int) -> Callable[[Any, dict[str, torch.Tensor]], None]:
    """From this step on there is memory for fewer rows than `size`; the second micro-batch is the first to fail."""

    def act(trainer: Any, inputs: dict[str, torch.Tensor]) -> None:
        if trainer.state.global_step >= at and rows_in(inputs) >= size:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return act


@pytest.mark.parametrize("at", [0, 4])  # the first step, and one after a checkpoint
def test_out_of_memory_trains_on_in_smaller_micro_batches_with_the_same_losses(
    tmp_path: Path, train: Train, whole: Callable[..., Path], at: int
) -> None:
    undisturbed = whole("sft", **CALM)
    notes: list[str] = []
    with in_forward(too_little_memory(at, 2)):
        metrics = train("sft", tmp_path / "tight", notes=notes, **CALM)
    assert [(one["step"], one["micro_batch"], one["back_to"]) for one in metrics.recoveries] == [
        (at + 1, 2, at),
        (at + 1, 1, at),
    ]
    assert losses(tmp_path / "tight") == pytest.approx(losses(undisturbed), abs=5e-3)
    assert [row["step"] for row in log(tmp_path / "tight")] == list(range(1, 8))
    assert (tmp_path / "tight/data_order.jsonl").read_bytes() == (undisturbed / "data_order.jsonl").read_bytes()
    assert len(notes) == 2 and "goes on with 2, 4 per step as before" in notes[0] and "/" not in notes[0]
    assert json.loads((tmp_path / "tight/metrics.json").read_text())["recoveries"] == metrics.recoveries


def test_a_training_without_trouble_has_no_word_of_it(whole: Callable[..., Path]) -> None:
    assert "recoveries" not in json.loads((whole("sft", **CALM) / "metrics.json").read_text())


def test_what_an_update_without_memory_has_changed_is_undone(
    tmp_path: Path, train: Train, whole: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = whole("sft", **CALM)
    step, failed = torch.optim.AdamW.step, list[bool]()

    def half(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(self, *args, **kwargs)
        if len(failed) < 6:
            failed.append(len(failed) == 5)
            if failed[-1]:
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", half)
    metrics = train("sft", tmp_path / "tight", **CALM)
    assert [(one["step"], one["back_to"]) for one in metrics.recoveries] == [(6, 4)]
    assert losses(tmp_path / "tight") == pytest.approx(losses(undisturbed), abs=5e-3)


def test_no_memory_for_one_row_says_what_to_set(tmp_path: Path, train: Train) -> None:
    with in_forward(too_little_memory(1, 1)), pytest.raises(RunError, match="even with one row at a time") as caught:
        train("sft", tmp_path)
    assert "1024 tokens" in caught.value.cause and "gradient_checkpointing" in caught.value.fix
    assert "max_length (now 1024)" in caught.value.fix
    assert not (tmp_path / "final").exists()


def test_the_reference_pass_of_dpo_goes_on_in_smaller_portions(
    tmp_path: Path, train: Train, whole: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = whole("dpo", num_train_epochs=1.0)
    reference, sizes = PreferenceTrainer.compute_ref_log_probs, list[int]()

    def tight(self: Any, model: Any, inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]) // 2)
        if len(sizes) == 2:
            raise RuntimeError("CUDA error: out of memory.")
        return reference(self, model, inputs)

    monkeypatch.setattr(PreferenceTrainer, "compute_ref_log_probs", tight)
    train("dpo", tmp_path / "tight", num_train_epochs=1.0)
    assert sizes == [4, 4, 2, 2, 2]
    assert losses(tmp_path / "tight") == pytest.approx(losses(undisturbed), abs=5e-3)


@pytest.mark.parametrize(
    ("method", "moment"), [("sft", "before the checkpoint"), ("prompt_tuning", "after it"), ("dpo", "a step later")]
)
def test_killed_while_it_recovers_it_ends_as_if_it_had_not_been(
    tmp_path: Path, train: Train, method: str, moment: str
) -> None:
    tight = too_little_memory(3, 3)
    with in_forward(tight):
        train(method, tmp_path / "whole")
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            if moment == "before the checkpoint":
                patch.setattr(ExactResume, "save_now", lambda self: die())
            elif moment == "after it":
                save = ExactResume.save_now
                patch.setattr(ExactResume, "save_now", lambda self: (save(self), die()))
            train(method, tmp_path / "broken", lambda step, *_: step == 5 and die())
        metrics = train(method, tmp_path / "broken")
    assert [one["step"] for one in metrics.recoveries] == [4]
    assert same(tmp_path / "whole", tmp_path / "broken")


def die() -> None:
    raise Killed


def test_a_batch_whose_loss_is_no_number_is_left_out(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are good, as the batch before shows: training goes on from them with half the learning rate."""
    bad = list[list[int]]()

    for kind in (SupervisedTrainer, PreferenceTrainer):
        own = kind.compute_loss

        def seen(self: Any, model: Any, inputs: Any, *args: Any, own: Any = own, **kwargs: Any) -> Any:
            ids = inputs["input_ids"].tolist()
            if self.state.global_step == 3 and not bad:
                bad.append(ids)
            loss = own(self, model, inputs, *args, **kwargs)
            return loss * float("nan") if bad and ids == bad[0] else loss

        monkeypatch.setattr(kind, "compute_loss", seen)
    notes: list[str] = []
    metrics = train("sft", tmp_path, notes=notes)
    [one] = metrics.recoveries
    assert (one["reason"], one["step"], one["back_to"], one["skipped"]) == ("diverged", 4, 3, 3)
    assert "not a finite number: loss" in notes[0] and "learning rate 0.005" in notes[0]
    rates = [row["learning_rate"] for row in log(tmp_path)]
    assert (
        rates[3] < 0.6 * rates[2]
        and metrics.steps == len(rates)
        and all(map(torch.isfinite, map(torch.tensor, losses(tmp_path))))
    )
    assert len((tmp_path / "data_order.jsonl").read_text().splitlines()) == 28 - 4


def test_weights_that_are_spoiled_come_from_the_checkpoint_before(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update of step 4, after whose checkpoint nothing is a number any more, is undone and its batch left out."""
    step, done = torch.optim.AdamW.step, list[int]()

    def spoil(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(self, *args, **kwargs)
        done.append(1)
        if len(done) == 4:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("inf"))
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", spoil)
    metrics = train("sft", tmp_path)
    [one] = metrics.recoveries
    assert (one["step"], one["back_to"], one["skipped"], metrics.steps) == (5, 2, 3, 6)


def test_a_training_that_never_goes_well_stops_with_a_diagnosis(
    tmp_path: Path, student: ModelConfig, records: list[Record]
) -> None:
    """Also where all checkpoints that are kept are spoiled: it begins anew."""
    config = SftConfig(**FAST | {"save_steps": 1}).model_copy(update={"learning_rate": 1e25})
    notes: list[str] = []
    with pytest.raises(RunError, match="diverged at step 2, after 3 new attempts") as caught:
        LoraSft(config).train(student, records, tmp_path, on_note=notes.append)
    assert "attempt 1 of 3" in notes[-3] and "attempt 3 of 3" in notes[-1]
    assert "1e+25, 5e+24, 2.5e+24, 1.25e+24" in caught.value.cause
    assert "Lower learning_rate" in caught.value.fix
    assert not (tmp_path / "final").exists()


def test_killed_while_it_goes_back_it_ends_as_if_it_had_not_been(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = SupervisedTrainer.compute_loss

    def seen(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        loss = own(self, model, inputs, *args, **kwargs)
        hurt = self.args.learning_rate > 6e-3 and self.state.global_step >= 4  # as if the weights were no good
        return loss * float("nan") if hurt else loss

    monkeypatch.setattr(SupervisedTrainer, "compute_loss", seen)
    train("sft", tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "_go_on", lambda *args, **kwargs: die())
        train("sft", tmp_path / "broken")
    with pytest.raises(Killed):
        train("sft", tmp_path / "broken", lambda step, *_: step == 6 and die())
    metrics = train("sft", tmp_path / "broken")
    assert [(one["step"], one["back_to"], one["skipped"]) for one in metrics.recoveries] == [(5, 2, 3)]
    assert same(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_signal_in_the_middle_of_a_step_saves_the_step_before(
    tmp_path: Path, train: Train, whole: Callable[..., Path], method: str
) -> None:
    split = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_train_epochs": 1.5}
    seen: list[int] = []

    def act(trainer: Any, inputs: dict[str, torch.Tensor]) -> None:
        seen.append(trainer.state.global_step)
        if trainer.state.global_step == 3 and seen.count(3) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    notes: list[str] = []
    with handled(signal.SIGTERM) as received, in_forward(act), pytest.raises(KeyboardInterrupt):
        train(method, tmp_path / "broken", notes=notes, **split)
    assert received == [signal.SIGTERM]
    assert (tmp_path / "broken/checkpoints/checkpoint-3" / SEAL).exists()
    assert "stopped after step 3 of" in notes[-1]
    steps: list[int] = []
    train(method, tmp_path / "broken", lambda step, *_: steps.append(step), **split)
    assert steps[0] == 4
    assert same(whole(method, **split), tmp_path / "broken")


@contextmanager
def handled(number: signal.Signals) -> Iterator[list[int]]:
    """Within it the signal is received by a handler that raises nothing."""
    received: list[int] = []
    before = signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(number, before)


def test_a_signal_while_a_checkpoint_is_written_waits_for_it(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = ExactResume._save

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save(self, *args, **kwargs)

    monkeypatch.setattr(ExactResume, "_save", interrupted)
    with handled(signal.SIGINT) as received, pytest.raises(KeyboardInterrupt):
        train("sft", tmp_path)
    assert received == [signal.SIGINT] and (tmp_path / "checkpoints/checkpoint-2" / SEAL).exists()


def test_a_signal_in_the_last_update_lets_the_training_end(tmp_path: Path, train: Train) -> None:
    with handled(signal.SIGTERM) as received:
        train(
            "sft",
            tmp_path,
            lambda step, steps, _: step == steps and os.kill(os.getpid(), signal.SIGTERM),
            num_train_epochs=0.5,
        )
    assert received == [signal.SIGTERM] and (tmp_path / "final").exists()


def test_a_second_interrupt_does_not_wait() -> None:
    with handled(signal.SIGINT), pytest.raises(KeyboardInterrupt) as caught, Stopping():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Stopped)


def test_elsewhere_than_in_the_main_thread_signals_are_left_alone(tmp_path: Path, train: Train) -> None:
    before, errors = signal.getsignal(signal.SIGTERM), list[BaseException]()

    def work() -> None:
        try:
            train("sft", tmp_path, num_train_epochs=1.0)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors and (tmp_path / "final").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, train: Train) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        output = disk / "sft"

        def fill(step: int, *_: object) -> None:
            if step == 4:  # its checkpoint comes next
                with (disk / "other").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                    while True:
                        file.write(bytes(1000))

        with pytest.raises(RunError, match="disk is full") as caught:
            train("sft", output, fill)
        assert "checkpoint-4" in caught.value.cause
        assert [path.name for path in (output / "checkpoints").iterdir()] == ["checkpoint-2"]
        (disk / "other").unlink()
        steps: list[int] = []
        notes: list[str] = []
        with pytest.raises(Killed):
            train("sft", output, lambda step, *_: (steps.append(step), step == 5 and die()), notes)
        assert steps[0] == 3 and not notes
        assert (output / "checkpoints/checkpoint-4" / SEAL).exists()


def test_a_training_without_gradients_is_found_and_said(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ExactResume.training_step

    def cut_off(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        loss = own(self, model, *args, **kwargs)
        for parameter in model.parameters():
            parameter.grad = None
        return loss

    monkeypatch.setattr(ExactResume, "training_step", cut_off)
    with pytest.raises(RunError, match="gradients are zero"):
        train("prompt_tuning", tmp_path)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_next_smaller_micro_batch_divides_the_global_batch(size: int, count: int) -> None:
    batch, found, tried = size * count, size, 0
    while (less := smaller(found, batch)) is not None:
        assert less <= found // 2 and batch % less == 0
        found, tried = less, tried + 1
    assert found == 1 and 2**tried <= size


@given(st.lists(st.floats(0.0, 9.0), min_size=1, max_size=60), st.sampled_from([1, 4, 16, 64]))
def test_losses_that_stay_near_the_first_ones_are_no_divergence(noise: list[float], batch: int) -> None:
    entries = [{"loss": 1.0 + min(x, 1.9), "grad_norm": 1.0} for x in noise]
    check_log(entries, batch, 1000, scaled=False)


@pytest.mark.parametrize("batch", [1, 4, 16, 64])
@pytest.mark.parametrize("first", [0.69, 2.0, 11.0])
def test_losses_that_rise_for_good_are_a_divergence(batch: int, first: float) -> None:
    size, entries, found = window(batch), list[dict[str, float]](), list[int]()
    for step in range(6 * size):
        entries.append({"loss": first if step < 3 * size else 3 * first + 2, "grad_norm": 1.0})
        try:
            check_log(entries, batch, 1000, scaled=False)
        except Diverged as error:
            found.append(step)
            assert error.first_bad == 3 * size and error.sure
            break
    assert found and found[0] < 4 * size


def test_overflows_with_loss_scaling_are_normal_unless_they_never_end() -> None:
    entries = [{"loss": 1.0, "grad_norm": float("inf")} for _ in range(29)]
    check_log(entries, 4, 100, scaled=True)
    with pytest.raises(Diverged, match="overflowed 30 times"):
        check_log([*entries, entries[0]], 4, 100, scaled=True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (MemoryError(), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_counts_as_out_of_memory(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
