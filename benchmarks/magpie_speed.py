"""Compares Magpie pairs per second on a CPU: this project, a plain script around `generate`, and distilabel.

    python benchmarks/magpie_speed.py [--rows 512] [--threads 2] [--batches 32,64,128,256]
    python benchmarks/magpie_speed.py --distilabel VENV/bin/python

The generator is the embedded `nano:generator` in float32. Each way samples at temperature 1 from the whole
distribution, with instructions and answers of at most 96 tokens. A row counts when it has both. The plain script
decodes a batch of instructions, puts each into the chat template, pads on the left and decodes the answers. Its best
batch size counts. distilabel runs in a separate environment (`pip install torch requests distilabel[hf-transformers]`)
with a hand-written pre-query template for this model. It gets fewer rows, because it processes them one at a time.

Required: 1.5 times the plain script and 5 times distilabel. The ways alternate, and the best round of each counts.
Measured with `--rows 256 --batches 64,128,256 --distilabel-rows 12` on two x86 cores that were partly busy with other
work (torch 2.13, transformers 5.23 everywhere, distilabel 1.5.3): 63.1, 27.5 and 5.7 rows/s, 2.3 and 11 times as fast;
on another day 63.9, 28.2 and 2.8 rows/s, 2.3 and 23 times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for all sides: threads that spin take each other's cores
TOKENS = 96


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", default="32,64,128,256")
    parser.add_argument("--distilabel", metavar="PYTHON", help="Python of an environment with distilabel")
    parser.add_argument("--distilabel-rows", type=int, default=48)
    parser.add_argument("--inside-distilabel", metavar="MODEL", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside_distilabel:
        return distilabel(args.inside_distilabel, args.distilabel_rows, args.threads)
    best = compare(args)
    for name, speed in best.items():
        print(f"{name:28} {speed:8.1f} rows/s")
    ours, plain = best["ours"], max(speed for name, speed in best.items() if name.startswith("plain"))
    print(f"ours / plain script: {ours / plain:.2f}")
    if args.distilabel:
        print(f"ours / distilabel:   {ours / best['distilabel']:.2f}")


def compare(args: argparse.Namespace) -> dict[str, float]:
    """Returns each side's best rows per second."""
    import torch

    from synthetic_instruction_tuner.config import ModelConfig
    from synthetic_instruction_tuner.models.files import local_folder

    torch.set_num_threads(args.threads)
    folder = local_folder(ModelConfig(path="nano:generator"))
    assert folder is not None
    sides: dict[str, Callable[[], float]] = {"ours": lambda: ours(args.rows, args.threads)}
    for batch in map(int, args.batches.split(",")):
        sides[f"plain script, batch {batch}"] = lambda batch=batch: plain(folder, args.rows, batch)  # type: ignore[misc]
    if args.distilabel:
        sides["distilabel"] = lambda: in_distilabel(args, folder)
    best = dict.fromkeys(sides, 0.0)
    for turn in range(args.rounds):
        for name, run in sides.items():
            speed = run()
            best[name] = max(best[name], speed)
            print(f"round {turn + 1}: {name:28} {speed:8.1f} rows/s", flush=True)
    return best


def ours(rows: int, threads: int) -> float:
    """Rows per second of `MagpieGenerator` on the transformers engine, as `sit generate` runs it."""
    from synthetic_instruction_tuner.config import EngineConfig, GenerateConfig, ModelConfig, SamplingConfig
    from synthetic_instruction_tuner.data_generation.magpie_generator import MagpieGenerator
    from synthetic_instruction_tuner.data_generation.plan import batches
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.models.hardware import detect

    sampling = SamplingConfig(temperature=1.0, max_new_tokens=TOKENS)
    config = GenerateConfig(count=rows, instruction=sampling, response=sampling, batch=256)
    engine_config = EngineConfig(kind="transformers", device="cpu", threads=threads, batch_size=128)
    with open_engine(ModelConfig(path="nano:generator"), engine_config, detect("cpu")) as (engine, template):
        generator = MagpieGenerator(config, template, engine, seed=0)
        generator.generate(range(16))
        start = time.perf_counter()
        records = [r for numbers in batches(config) for r in generator.generate(numbers)]
        return sum(bool(r.instruction and r.response) for r in records) / (time.perf_counter() - start)


def plain(folder: Path, rows: int, batch: int) -> float:
    """Rows per second of a script that calls `generate` on fixed batches."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def write(prompts: list[str]) -> list[str]:
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        ids = model.generate(
            **inputs, do_sample=True, temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=TOKENS,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        return [
            t.strip() for t in tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        ]

    def pairs(count: int) -> int:
        instructions = [text for text in write([pre_query(tokenizer)] * count) if text]
        chats = [[{"role": "user", "content": text}] for text in instructions]
        return sum(
            map(
                bool,
                write([tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in chats]),
            )
        )

    pairs(8)
    start = time.perf_counter()
    written = sum(pairs(min(batch, rows - done)) for done in range(0, rows, batch))
    return written / (time.perf_counter() - start)


def pre_query(tokenizer: Any) -> str:
    """Returns the text before a user's message."""
    marker = "zqMessageqz"
    text = tokenizer.apply_chat_template([{"role": "user", "content": marker}], tokenize=False)
    return str(text.partition(marker)[0])


def in_distilabel(args: argparse.Namespace, folder: Path) -> float:
    """Runs distilabel's side with its own Python."""
    line = [args.distilabel, __file__, "--inside-distilabel", str(folder)]
    line += ["--distilabel-rows", str(args.distilabel_rows), "--threads", str(args.threads)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    output = subprocess.run(line, capture_output=True, text=True, env=environment)
    found = [json.loads(text) for text in output.stdout.splitlines() if text.startswith('{"rows_per_second"')]
    if not found:
        sys.exit(f"distilabel did not run:\n{output.stderr[-3000:]}")
    return float(found[-1]["rows_per_second"])


def distilabel(model: str, rows: int, threads: int) -> None:
    """The Magpie task of distilabel on its TransformersLLM, as its documentation shows it."""
    import torch
    from distilabel.models.llms import TransformersLLM
    from distilabel.steps.tasks import Magpie
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    llm = TransformersLLM(
        model=model, torch_dtype="float32", use_magpie_template=True,
        magpie_pre_query_template=pre_query(AutoTokenizer.from_pretrained(model)),
        generation_kwargs={"max_new_tokens": TOKENS, "temperature": 1.0, "repetition_penalty": 1.0, "do_sample": True},
    )  # fmt: skip
    task = Magpie(llm=llm, n_turns=1)
    task.load()
    next(task.process([{}] * 2))
    start = time.perf_counter()
    made = next(task.process([{} for _ in range(rows)]))
    seconds = time.perf_counter() - start
    full = sum(bool(row.get("instruction") and row.get("response")) for row in made)
    print(json.dumps({"rows_per_second": full / seconds, "rows": full}))


if __name__ == "__main__":
    main()
