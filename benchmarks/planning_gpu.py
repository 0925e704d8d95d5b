"""Measures what a plan predicts, and prints both: memory and time at the shapes of the profiles' models.

    python benchmarks/planning_gpu.py --results FILE.jsonl --minutes 8     # again and again, until nothing is left
    python benchmarks/planning_gpu.py --results FILE.jsonl --table         # what has been measured so far
    python benchmarks/planning_gpu.py --results FILE.jsonl --tiny          # tries the script itself, on a CPU

The shapes are those of Llama-3.2-1B, Llama-3.2-3B, Qwen2.5-3B, Mistral-7B-v0.3 and Llama-3.1-8B, with random weights,
in 16 bits and in 4 (this needs bitsandbytes). For each: text, log-probabilities, SFT, prompt tuning and DPO, with and
without gradient checkpointing, with the batches of profile a100. Every measurement runs in a process of its own and is
appended to the results; what is there is not measured again, so that a GPU can be used in portions. One that runs out
of memory is kept as such. The models are written to a folder once and read again (`--models`; the largest takes 16 GB).
No network is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# architecture, layers, hidden, heads, key-value heads, mlp, vocabulary
SHAPES = {
    "Llama-3.2-1B": ("llama", 16, 2048, 32, 8, 8192, 128_256),
    "Llama-3.2-3B": ("llama", 28, 3072, 24, 8, 8192, 128_256),
    "Qwen2.5-3B": ("qwen2", 36, 2048, 16, 2, 11008, 151_936),
    "Mistral-7B-v0.3": ("mistral", 32, 4096, 32, 8, 14336, 32_768),
    "Llama-3.1-8B": ("llama", 32, 4096, 32, 8, 14336, 128_256),
}
TINY = {
    "tiny-llama": ("llama", 4, 128, 4, 2, 256, 2048),
    "tiny-qwen2": ("qwen2", 3, 128, 4, 2, 384, 2048),
}
TRAINED = {"sft": (12, 2), "prompt_tuning": (12, 2), "dpo": (8, 2)}
WORK = ("text", "score", *(f"{method}{end}" for method in TRAINED for end in ("", "-checkpointing")))
STEPS, TINY_STEPS = 6, 3
WARM_UP = 2  # steps of a training before the measured one: its time is taken off
ROWS, TEXTS = 64, 256
LEAST_SECONDS = 40  # that a measurement may take; less time is not begun with


def main() -> None:
    """Measures what is not in the results yet, as long as there is time, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--shapes", nargs="+", choices=[*SHAPES, *TINY])
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--bits", nargs="+", type=int, choices=(4, 16), default=[16, 4])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--models", type=Path, default=Path(tempfile.gettempdir()) / "planning-models")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        name, held, *inside = args.inside
        for work in inside:
            print("RESULT " + json.dumps(measured(name, int(held), work, args.models)), flush=True)
        return
    end = time.monotonic() + 60 * args.minutes
    shapes = args.shapes or list(TINY if args.tiny else SHAPES)
    bits = [16] if args.tiny else args.bits
    wanted = [(name, b, work) for name in shapes for b in bits for work in args.work]
    for name, bits_held in [] if args.table else dict.fromkeys(one[:2] for one in wanted):
        while left := [w for n, b, w in left_of(wanted, args.results) if (n, b) == (name, bits_held)]:
            if end - time.monotonic() < LEAST_SECONDS:
                break
            print(f"{name}, {bits_held} bits: {', '.join(left)}", file=sys.stderr, flush=True)
            in_a_process(name, bits_held, left, end - time.monotonic(), args)
    print(table(results(args.results)))
    print(f"\n{len(left_of(wanted, args.results))} of {len(wanted)} measurements are left.")


def left_of(wanted: list[tuple[str, int, str]], file: Path) -> list[tuple[str, int, str]]:
    """Returns what has not been measured yet."""
    done = {(r["model"], r["bits"], r["work"]) for r in results(file)}
    return [one for one in wanted if one not in done]


def results(file: Path) -> list[dict[str, Any]]:
    """Returns what has been measured so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def in_a_process(name: str, bits: int, work: list[str], seconds: float, args: argparse.Namespace) -> None:
    """Measures in a process of its own, one thing after the other; one that fails ends it, and is kept as failed."""
    line = [sys.executable, __file__, "--results", "-", "--models", str(args.models)]
    line += ["--inside", name, str(bits), *work]
    end = time.monotonic() + seconds
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(seconds, process.kill)
        guard.start()
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
        reader.start()
        assert process.stdout is not None
        with args.results.open("a") as file:
            for text in process.stdout:
                if text.startswith("RESULT "):
                    file.write(text.removeprefix("RESULT "))
                    file.flush()
                    work = work[1:]
                    print(text.strip(), file=sys.stderr, flush=True)
        code = process.wait()
        guard.cancel()
        reader.join()
        if code and work and time.monotonic() < end - 1:
            last = next((line.strip() for line in reversed(errors) if line.strip()), "it said nothing")
            reason = "out of memory" if "out of memory" in "".join(errors).lower() else last[:200]
            with args.results.open("a") as file:
                file.write(json.dumps({"model": name, "bits": bits, "work": work[0], "failed": reason}) + "\n")
        elif work and code:
            print(f"{work[0]} was not finished in the time that was left.", file=sys.stderr)


def measured(name: str, bits: int, work: str, models: Path) -> dict[str, Any]:
    """Does the work and returns what it took beside what was predicted: seconds, and GB of 1e9 bytes."""
    from random_models import write_model
    from synthetic_instruction_tuner.config import ModelConfig
    from synthetic_instruction_tuner.models.files import shape
    from synthetic_instruction_tuner.models.hardware import choose_dtype, detect
    from synthetic_instruction_tuner.models.number_format import RESERVE_GB, NumberFormat
    from synthetic_instruction_tuner.models.peak_memory import reset_peak_memory
    from synthetic_instruction_tuner.run.costs.cards import card_of
    from synthetic_instruction_tuner.run.costs.cpu import CpuCosts
    from synthetic_instruction_tuner.run.costs.gpu import GpuCosts

    hardware = detect()
    dtype = choose_dtype(hardware, "auto")[0]
    arch, layers, hidden, heads, kv_heads, mlp, vocabulary = (SHAPES | TINY)[name]
    gpu = hardware.device == "cuda"
    costs: Any = GpuCosts(card_of(hardware)) if gpu else CpuCosts.of(hardware)
    held = NumberFormat("nf4" if bits == 4 else dtype, dtype, "")
    path = models / name
    if not (path / "written").exists():
        write_model(path, arch, hidden, layers, heads, kv_heads, mlp, vocabulary, dtype=dtype if gpu else "float32")
        (path / "written").touch()
    with tempfile.TemporaryDirectory() as folder:
        model = ModelConfig(path=str(path), load_in_4bit=bits == 4)
        size = shape(model)
        reset_peak_memory()
        do = {"text": text, "score": score}.get(work)
        steps = TINY_STEPS if name in TINY else STEPS
        if do is not None:
            found = do(model, hardware, costs, size, held, steps)
        else:
            found = train(model, work, Path(folder) / "out", hardware, costs, size, held, steps)
    base = RESERVE_GB if gpu else 0.0
    return {
        "model": name, "bits": bits, "work": work, "device": hardware.device_name,
        "predicted_seconds": found[0], "seconds": found[1], "predicted_gb": found[2] - base, "gb": found[3],
    }  # fmt: skip


def text(model: Any, hardware: Any, costs: Any, size: Any, held: Any, steps: int) -> tuple[float, float, float, float]:
    """Writes texts of drawn lengths, once to warm up: kernels are compiled for the lengths that come."""
    from synthetic_instruction_tuner.config import EngineConfig
    from synthetic_instruction_tuner.engines.base import Request
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.models.peak_memory import peak_memory_gb
    from synthetic_instruction_tuner.run.costs.work import Texts

    draw, tiny = random.Random(0), steps == TINY_STEPS
    count, rows, most = (32, 16, 48) if tiny else (TEXTS, ROWS, 1024)
    lengths = [drawn(draw, 20 if tiny else 260, 0.6, most) for _ in range(count)]
    prompts = [
        tuple(draw.randrange(300, size.vocabulary - 300) for _ in range(draw.randrange(20, 120))) for _ in lengths
    ]
    asked = [Request(p, i, n, ()) for i, (p, n) in enumerate(zip(prompts, lengths, strict=True))]
    config = EngineConfig(kind="transformers", batch_size=rows)
    with open_engine(model, config, hardware) as (engine, _):
        engine.generate(asked)
        start = time.perf_counter()
        engine.generate(asked)
        seconds, peak = time.perf_counter() - start, peak_memory_gb()
    mean, prompt = sum(lengths) / count, sum(map(len, prompts)) / count
    predicted = costs.write(size, held, Texts(count, mean, max(lengths), count, rows, prompt), "transformers")
    longest = sorted(a + len(b) for a, b in zip(lengths, prompts, strict=True))[-rows:]
    room = Texts(count, mean, sum(longest) / rows - prompt, count, rows, prompt)
    return predicted, seconds, costs.writing_gb(size, held, room), peak


def score(model: Any, hardware: Any, costs: Any, size: Any, held: Any, steps: int) -> tuple[float, float, float, float]:
    """Computes log-probabilities of short continuations of contexts that have nothing in common."""
    from synthetic_instruction_tuner.config import EngineConfig
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.models.peak_memory import peak_memory_gb
    from synthetic_instruction_tuner.run.costs.work import Reading

    draw, tiny = random.Random(0), steps == TINY_STEPS
    count, rows, length = (32, 16, 64) if tiny else (TEXTS, ROWS, 512)
    texts = [[draw.randrange(300, size.vocabulary - 300) for _ in range(length)] for _ in range(count)]
    config = EngineConfig(kind="transformers", batch_size=rows)
    with open_engine(model, config, hardware) as (engine, _):
        engine.loglikelihood([(t[:-4], t[-4:]) for t in texts[:4]])
        start = time.perf_counter()
        engine.loglikelihood([(t[:-4], t[-4:]) for t in texts])
        seconds, peak = time.perf_counter() - start, peak_memory_gb()
    reading = Reading(count * length, count / rows, rows * length)
    return costs.read(size, held, reading), seconds, costs.reading_gb(size, held, reading), peak


def train(
    model: Any, work: str, output: Path, hardware: Any, costs: Any, size: Any, held: Any, steps: int
) -> tuple[float, float, float, float]:
    """Trains for some steps, and for a few of them alone: the difference in time is that of the others."""
    from synthetic_instruction_tuner.config import load_config
    from synthetic_instruction_tuner.methods import METHODS
    from synthetic_instruction_tuner.records import PreferencePair, Record
    from synthetic_instruction_tuner.run.costs.work import Tuning
    from synthetic_instruction_tuner.run.number_formats import what_is_tuned
    from synthetic_instruction_tuner.training.tuners import train_student

    name, _, again = work.partition("-")
    method = next(method for method in METHODS if method.name == name)
    rows, accumulation = TRAINED[name] if steps == STEPS else (2, 1)
    most, median = (900, 330) if steps == STEPS else (90, 30)
    few, n = WARM_UP * rows * accumulation, (WARM_UP + steps) * rows * accumulation
    draw, pairs = random.Random(0), method.trains_on == "pairs"
    asked = [drawn(draw, 40 if steps == STEPS else 20, 0.5, most) for _ in range(n)]
    answers = [[drawn(draw, median, 0.6, most) for _ in range(n)] for _ in range(2 if pairs else 1)]
    data: list[Any] = [Record(f"raw-{i}", letters(draw, asked[i]), letters(draw, answers[0][i])) for i in range(n)]
    if pairs:
        data = [
            PreferencePair(
                f"pair-{i}", r.id, r.instruction, r.response, letters(draw, answers[1][i]), "a", "b", 1.0, 0.0
            )
            for i, r in enumerate(data)
        ]
    changes = {
        "num_train_epochs": 1, "per_device_train_batch_size": rows, "gradient_accumulation_steps": accumulation,
        "gradient_checkpointing": str(bool(again)).lower(), "save_steps": 1000, "max_length": 1024,
    }  # fmt: skip
    config = load_config("a100", overrides=[f"train.{name}.{key}={value}" for key, value in changes.items()])
    dtype = held.compute
    _, begun, found = (
        train_student(config, method, model, part, output / str(k), device=hardware.device, dtype=dtype)
        for k, part in enumerate((data[:few], data[:few], data))  # the first of a process takes longer
    )
    template = (found.tokens - sum(a * len(answers) for a in asked) - sum(map(sum, answers))) / (n * len(answers))
    longest = min(
        max(a + max(ends) + template for a, ends in zip(asked, zip(*answers, strict=True), strict=True)), 1024
    )
    tuned = what_is_tuned(method)
    largest = rows * len(answers) * (longest + (20 if tuned == "soft_prompt" else 0))
    work_done = Tuning(found.tokens - begun.tokens, (n - few) / rows, largest, bool(again), tuned)
    predicted = costs.tune(size, held, work_done) - 2  # which is to begin
    return predicted, found.seconds - begun.seconds, costs.tuning_gb(size, held, work_done), found.peak_memory_gb


def drawn(draw: random.Random, median: float, spread: float, most: int) -> int:
    """Returns a length from a log-normal distribution."""
    return int(min(max(draw.lognormvariate(0, spread) * median, 8), most))


def letters(draw: random.Random, n: int) -> str:
    """Returns a text of this many letters, each of which is a token."""
    return "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(n))


def table(found: list[dict[str, Any]]) -> str:
    """Returns predicted beside measured, as Markdown."""
    lines = [
        "| model | bits | work | GB predicted | measured | ratio | s predicted | measured | ratio |",
        "|---" * 9 + "|",
    ]
    for r in found:
        head = f"| {r['model']} | {r['bits']} | {r['work']} |"
        if "failed" in r:
            lines.append(f"{head} | {r['failed']} | | | | |")
            continue
        memory, seconds = (r["predicted_gb"], r["gb"]), (r["predicted_seconds"], r["seconds"])
        cells = [f"{a:.2f} | {b:.2f} | {a / b:.2f}" for a, b in (memory, seconds)]
        lines.append(f"{head} {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
