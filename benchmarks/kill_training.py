"""Kills trainings with SIGKILL at random moments and checks that each ends with the bytes of one that was not.

    python benchmarks/kill_training.py --kills 30 -d DIR [--student nano:student-llama] [--seed 0]

SFT, prompt tuning and DPO are each trained once without a kill, in DIR/whole. In the fourth step of each memory seems
to run out, so that each recovers once. How long its moments last is measured: loading, steps, writing a checkpoint,
recovering, writing the result, and DPO's reference pass.

Then the methods take turns in new folders. Each training gets a first kill in one of its moments, which take turns too,
and a second one anywhere in what is left of it; then it is resumed to its end. Adapter, log and order of the data must
be those of the training that was not killed, byte for byte. The exit code is 1 if anything differs. Only processes that
this script started are killed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries

METHODS = ("sft", "prompt_tuning", "dpo")
RESULT = ("final/adapter_model.safetensors", "final/adapter_config.json", "training_log.jsonl", "data_order.jsonl")
WORDS = ["red", "blue", "seven", "cat", "dog", "runs", "fast", "a", "the", "house"]
TIGHT_FROM, TOO_MANY = 3, 3  # from this step on there seems to be no memory for so many rows at once
SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "num_train_epochs": 2.0,
    "save_steps": 2,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "max_length": 128,
}
MARKS = Callable[[str], None]


def main() -> None:
    """Trains, kills, resumes, compares, and exits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--student", default="nano:student-llama")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("-d", "--dir", type=Path, required=True, help="an empty or new folder")
    args = parser.parse_args()
    whole = args.dir / "whole"
    if whole.exists():
        parser.error(f"{args.dir} is in use; name another folder")
    quiet_libraries()
    first = CONTEXT.Process(target=time.sleep, args=(0,))  # waits until all is imported
    first.start()
    first.join()
    spans = {method: moments_of(_trained(args.student, method, whole)) for method in METHODS}
    for method, moments in spans.items():
        parts = ", ".join(f"{name} {len(found)} x {max(found):.2f} s" for name, found in moments.items())
        print(f"{method}: {parts}", flush=True)

    draw, hit, faults, number = random.Random(args.seed), Counter[str](), list[str](), 0
    turns = {method: iter(_in_turns(list(moments))) for method, moments in spans.items()}
    while sum(hit.values()) < args.kills:
        method = METHODS[number % len(METHODS)]
        root, number = args.dir / f"killed-{number}", number + 1
        wanted = next(turns[method])
        for moment in (wanted, None):
            if sum(hit.values()) < args.kills:
                killed_in = _killed(args.student, method, root, whole, spans[method], moment, draw)
                hit[f"{method}: {killed_in}"] += bool(killed_in)
                print(f"  kill {sum(hit.values())}: {method}, {killed_in or 'was done before it'}", flush=True)
        _trained(args.student, method, root, whole)
        faults += [f"{method} in {root.name}: {name}" for name in _differing(whole / method, root / method)]
    print(f"\n{sum(hit.values())} kills in {number} trainings")
    for name, count in sorted((name, count) for name, count in hit.items() if count):
        print(f"  {count:>2} {name}")
    print("\n".join(f"DIFFERENT: {fault}" for fault in faults) or "All results are equal, byte for byte.")
    sys.exit(bool(faults))


def _in_turns(names: list[str]) -> Iterator[str]:
    while True:
        yield from names


def _differing(one: Path, other: Path) -> list[str]:
    return [name for name in RESULT if (one / name).read_bytes() != (other / name).read_bytes()]


def moments_of(marks: list[tuple[float, str]]) -> dict[str, list[float]]:
    """Returns how long each moment lasted, by name, each time; ``loading`` lasts until the first of the others."""
    spans: dict[str, list[float]] = defaultdict(list)
    began: dict[str, float] = {}
    for at, mark in marks:
        name, what = mark.rsplit(" ", 1)
        if what == "begins":
            began[name] = at
        else:
            spans[name].append(at - began[name])
    return {"loading": [marks[0][0]], **spans}


def _trained(student: str, method: str, root: Path, whole: Path | None = None) -> list[tuple[float, str]]:
    """Trains to the end, and returns when each mark was passed."""
    with _process(student, method, root, whole or root) as (process, marks):
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found.append(marks.recv())
        process.join()
        if process.exitcode:
            sys.exit(f"{method} in {root} failed by itself")
        return found


def _killed(
    student: str,
    method: str,
    root: Path,
    whole: Path,
    spans: dict[str, list[float]],
    moment: str | None,
    draw: random.Random,
) -> str:
    """Kills a training within a moment, or anywhere; returns what it was doing, or "" where it was done before."""
    time_in_all = spans["loading"][0] + sum(sum(found) for name, found in spans.items() if name != "loading")
    occurrence = 1 if moment in (None, "loading") else draw.randint(1, len(spans[moment or ""]))
    wait = draw.uniform(0, time_in_all if moment is None else max(spans[moment]))
    with _process(student, method, root, whole) as (process, marks):
        doing = ["loading"]
        try:
            while moment not in (None, "loading") and occurrence:
                mark = marks.recv()[1]
                _note(mark, doing)
                occurrence -= mark == f"{moment} begins"
            end = time.monotonic() + wait
            while (left := end - time.monotonic()) > 0:
                if marks.poll(left):
                    _note(marks.recv()[1], doing)
        except EOFError:
            pass
        process.kill()
        process.join()
        with contextlib.suppress(EOFError, OSError):
            while marks.poll():
                _note(marks.recv()[1], doing)
        if process.exitcode not in (0, -signal.SIGKILL):
            sys.exit(f"{method} in {root} failed by itself")
        return (" in ".join(reversed(doing)) or "between them") if process.exitcode else ""


def _note(mark: str, doing: list[str]) -> None:
    """Keeps the moments that a training is in, the outermost first."""
    name, what = mark.rsplit(" ", 1)
    if "loading" in doing:
        doing.clear()
    if what == "begins":
        doing.append(name)
    else:
        doing.remove(name)


@contextlib.contextmanager
def _process(student: str, method: str, root: Path, whole: Path) -> Iterator[tuple[Any, Connection]]:
    """Starts a training in a process that has all imported already, and does not outlive the block."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_train, args=(student, method, root, whole, there))
    process.start()
    there.close()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()


def _train(student: str, method: str, root: Path, whole: Path, marks: Connection) -> None:
    import torch

    from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig, SftConfig
    from synthetic_instruction_tuner.training.dpo import Dpo
    from synthetic_instruction_tuner.training.lora_sft import LoraSft
    from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

    torch.set_num_threads(1)
    start = time.monotonic()
    _watch(lambda mark: marks.send((time.monotonic() - start, mark)))
    model, output = ModelConfig(path=student), root / method
    if method == "sft":
        LoraSft(SftConfig(**SETTINGS)).train(model, _records(), output)
    elif method == "prompt_tuning":
        PromptTuning(PromptTuningConfig(**SETTINGS, num_virtual_tokens=8)).train(model, _records(), output)
    else:
        config = DpoConfig(**SETTINGS, sft_weight=1.0)
        Dpo(config).train(model, whole / "sft/final", _pairs(), output)


def _watch(mark: MARKS) -> None:
    """Marks where moments begin and end, and makes memory seem too small."""
    import torch

    from synthetic_instruction_tuner.training.dpo import PreferenceTrainer
    from synthetic_instruction_tuner.training.exact_resume import ExactResume
    from synthetic_instruction_tuner.training.files.workspace import Workspace
    from synthetic_instruction_tuner.training.recovery import loop
    from synthetic_instruction_tuner.training.supervised import SupervisedTrainer

    def marked(owner: Any, function: str, name: str) -> None:
        own = getattr(owner, function)

        def seen(*args: Any, **kwargs: Any) -> Any:
            mark(f"{name} begins")
            try:
                return own(*args, **kwargs)
            finally:
                mark(f"{name} ends")

        setattr(owner, function, seen)

    def tight(trainer: Any) -> None:
        own = trainer.compute_loss

        def seen(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            rows = len(inputs["ref_chosen_logps"] if "ref_chosen_logps" in inputs else inputs["input_ids"])
            if self.state.global_step >= TIGHT_FROM and rows >= TOO_MANY:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return own(self, model, inputs, *args, **kwargs)

        trainer.compute_loss = seen

    for trainer in (SupervisedTrainer, PreferenceTrainer):
        tight(trainer)
    marked(PreferenceTrainer, "compute_ref_log_probs", "reference pass")
    marked(ExactResume, "training_step", "step")
    marked(ExactResume, "_save_checkpoint", "checkpoint")
    marked(loop, "_after_out_of_memory", "recovery")
    marked(Workspace, "finish", "result")


def _records() -> list[Any]:
    from synthetic_instruction_tuner.records import Record

    rng = random.Random(1)
    return [Record(f"raw-{i}", _words(rng, 4), _words(rng, 2 + i % 9)) for i in range(40)]


def _pairs() -> list[Any]:
    from synthetic_instruction_tuner.records import PreferencePair

    rng = random.Random(2)
    texts = [(_words(rng, 4), "yes " + _words(rng, 3), "no " + _words(rng, 5)) for _ in range(40)]
    return [PreferencePair(f"pair-{i}", f"raw-{i}", *text, "a", "b", 1.0, 0.0) for i, text in enumerate(texts)]


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [f"synthetic_instruction_tuner.training.{name}" for name in ("lora_sft", "prompt_tuning", "dpo", "recovery.loop")]
)

if __name__ == "__main__":
    main()
