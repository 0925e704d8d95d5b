"""SFT and DPO beside TRL's own at the shape of Llama-3.2-3B with random weights, in one call on one GPU.

    python benchmarks/training_gpu.py [--parts NAME,NAME] [--steps 12] [--profile NAME,NAME] [--shape tiny]

The batches are those of profile a100 (SFT 12 x 2, DPO 8 x 2), and the lengths are log-normal: prompts with a median of
40 tokens, answers of 330. LoRA has rank 8 on all linear layers, SFT a dropout of 0.05. Every part is a process of its
own, and prints a line as soon as it is done. Tokens are real ones: no padding, and a prompt that is read once for two
answers counts twice. The rate leaves out the first two steps; "first step" is what the first one took longer, with all
that comes between the model and it; the time for the plan (1,000 records x 3 epochs, or 600 pairs) counts it, and the
reference pass of DPO.

    part            what it is
    trl-sft         TRL's SFTTrainer with its defaults (padding, checkpointing)
    sft             LoraSft of this package, nothing computed again
    sft-gc          the same with gradient checkpointing
    sft-small       micro-batches of a quarter, nothing computed again
    trl-dpo         TRL's DPOTrainer with its defaults
    dpo, dpo-gc, dpo-small   Dpo of this package, likewise
    compiled        plain Transformers + PEFT on packed texts of equal length: layers compiled, flex attention

`--shape tiny` tries the parts on a CPU; its figures say nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "src")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402

SHAPES: dict[str, dict[str, int]] = {
    "llama-3b": {"hidden": 3072, "layers": 28, "heads": 24, "kv_heads": 8, "mlp": 8192, "vocab": 128_256},
    "tiny": {"hidden": 64, "layers": 2, "heads": 4, "kv_heads": 2, "mlp": 128, "vocab": 1024},
}
PARTS = ("trl-sft", "sft", "sft-gc", "sft-small", "trl-dpo", "dpo", "dpo-gc", "dpo-small")
PLAN = {"sft": 3000, "dpo": 600}  # texts or pairs that the plan's training reads
PER_STEP = {"sft": 24, "dpo": 16}
MICRO = {"sft": (12, 2), "dpo": (8, 2), "sft-small": (3, 8), "dpo-small": (2, 8)}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM = 2  # steps that the rate leaves out


def main() -> None:
    """Runs the parts one after the other and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--trl-steps", type=int, default=6)
    parser.add_argument("--shape", choices=SHAPES, default="llama-3b")
    parser.add_argument("--profile", default="", help="parts whose GPU time is shown by kernel")
    parser.add_argument("--packing", default="on")
    options = parser.parse_args()
    rows = []
    for part, go, queue, process in [started(part, options) for part in options.parts.split(",")]:
        say(f"-- {part}")
        began = time.time()
        go.set()
        process.join()
        if not queue.empty():
            rows.append({"part": part, **queue.get()})
            say(json.dumps(rows[-1]) + f"  [{time.time() - began:.0f} s]")
    print_table(rows)


def started(part: str, options: argparse.Namespace) -> tuple[str, Any, Any, Any]:
    """Returns a process for a part, which imports what it needs at once and then waits until it may begin."""
    spawn = multiprocessing.get_context("spawn")
    go, queue = spawn.Event(), spawn.SimpleQueue()
    process = spawn.Process(target=wait, args=(part, options, go, queue), daemon=True)
    process.start()
    return part, go, queue, process


def wait(part: str, options: argparse.Namespace, go: Any, queue: Any) -> None:
    """Imports, waits, measures."""
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import trl
    from transformers import LlamaForCausalLM  # noqa: F401

    assert trl.SFTTrainer and trl.DPOTrainer
    import synthetic_instruction_tuner.training.dpo
    import synthetic_instruction_tuner.training.lora_sft  # noqa: F401

    go.wait()
    measure(part, options, queue)


def measure(part: str, options: argparse.Namespace, queue: Any) -> None:
    """Runs one part and puts what it found into the queue."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1 if options.shape == "tiny" else torch.get_num_threads())
    try:
        with tempfile.TemporaryDirectory() as folder:
            if part == "compiled":
                found = compiled_layers(part, options)
            elif part.startswith("trl-"):
                found = of_trl(part, options, Path(folder))
            else:
                found = of_this_package(part, options, Path(folder))
        found["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 1) if on_gpu() else 0.0
        queue.put(found)
    except Exception as error:
        say(f"   {part} failed: {type(error).__name__}: {' '.join(str(error).split())[:600]}")
        if os.environ.get("TRACEBACK"):
            raise


def of_trl(part: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Trains with TRL's defaults: padding, gradient checkpointing, and the reference in every step of DPO."""
    import datasets
    import trl
    from peft import LoraConfig

    kind, steps = part.removeprefix("trl-"), options.trl_steps
    lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, target_modules=TARGETS, task_type="CAUSAL_LM")
    batch = {"per_device_train_batch_size": MICRO[kind][0], "gradient_accumulation_steps": MICRO[kind][1]}
    common: dict[str, Any] = {"output_dir": str(folder), "max_steps": steps, "logging_steps": 1000, "report_to": "none"}
    common |= {"save_strategy": "no", "bf16": on_gpu(), "use_cpu": not on_gpu(), "learning_rate": 1e-4, **batch}
    common |= {"max_length": 1024, "disable_tqdm": True}
    prompts, *answers = lengths(kind, steps * PER_STEP[kind])
    columns = ("completion",) if kind == "sft" else ("chosen", "rejected")
    texts = {"prompt": prompts, **dict(zip(columns, answers, strict=True))}
    data = datasets.Dataset.from_dict({k: [words(n, k != "prompt", options) for n in v] for k, v in texts.items()})
    clock = Clock()
    made: dict[str, Any] = {
        "model": random_model(options),
        "train_dataset": data,
        "processing_class": word_tokenizer(options),
    }
    made |= {"peft_config": lora, "callbacks": [clock.callback()]}
    if kind == "sft":
        trainer: Any = trl.SFTTrainer(args=trl.SFTConfig(**common), **made)
    else:
        trainer = trl.DPOTrainer(args=trl.DPOConfig(**common, beta=0.1), **made)
    clock.start(part in options.profile.split(","))
    trainer.train()
    each = sum(len(ids) for row in data for ids in (row[c].split() for c in texts)) / len(data)
    each += sum(prompts) / len(data) if kind == "dpo" else 0
    return clock.figures([each * PER_STEP[kind]] * steps, kind)


def of_this_package(part: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Trains with this package on the same kind of data; the model is made in memory instead of being read."""
    from random_models import byte_tokenizer
    from synthetic_instruction_tuner.config import DpoConfig, LoraShape, ModelConfig, SftConfig
    from synthetic_instruction_tuner.records import PreferencePair, Record
    from synthetic_instruction_tuner.training import dpo, lora_sft, supervised
    from synthetic_instruction_tuner.training.files import adapter_files

    kind, _, way = part.partition("-")
    clock = Clock()
    clock.start(part in options.profile.split(","))
    byte_tokenizer().save_pretrained(folder / "model")
    model_config(options).save_pretrained(folder / "model")
    for module in (supervised, dpo):
        module.load_causal_lm = lambda *_: clock.made(random_model(options))  # type: ignore[attr-defined]
    adapter_files.write_base = lambda *_: None  # type: ignore[attr-defined]
    model = ModelConfig(path=str(folder / "model"))
    size, accumulation = MICRO.get(part, MICRO[kind])
    settings: dict[str, Any] = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
    settings |= {"num_train_epochs": 1.0, "gradient_checkpointing": way == "gc", "learning_rate": 1e-4}
    settings |= {"save_steps": 10_000, "logging_steps": 1, "max_length": 1024}
    place = {"device": "cuda" if on_gpu() else "cpu", "dtype": "bfloat16" if on_gpu() else "float32"}
    prompts, *answers = (list(map(letters, side)) for side in lengths(kind, options.steps * PER_STEP[kind]))

    def note(text: str) -> None:
        say(f"   {text}")

    if kind == "sft":
        records = [Record(f"raw-{i}", *texts) for i, texts in enumerate(zip(prompts, *answers, strict=True))]
        tuner = lora_sft.LoraSft(SftConfig(**settings, lora=LoraShape()), **place, packing=options.packing)
        tuner.train(model, records, folder / "out", clock.step, note)
    else:
        pairs = [
            PreferencePair(f"pair-{i}", f"raw-{i}", *texts, "a", "b", 1.0, 0.0)
            for i, texts in enumerate(zip(prompts, *answers, strict=True))
        ]
        of_pairs = dpo.Dpo(DpoConfig(**settings), **place, packing=options.packing)
        reference = dpo._reference
        dpo._reference = lambda *a: clock.timed("reference", reference, *a)
        of_pairs.train(model, None, pairs, folder / "out", clock.step, note)
    return clock.figures(tokens_by_step(folder / "out", kind, prompts, answers), kind, len(prompts))


def tokens_by_step(output: Path, kind: str, prompts: list[str], answers: list[list[str]]) -> list[float]:
    """Returns the real tokens of each step; a byte is one."""
    frame = 20  # what the template adds to a text
    order = [json.loads(line)["id"] for line in (output / "data_order.jsonl").read_text().splitlines()]
    each = [sum(len(prompts[i]) + len(side[i]) + frame for side in answers) for i in range(len(prompts))]
    tokens = [each[int(row.split("-")[1])] for row in order]
    metrics = json.loads((output / "metrics.json").read_text())
    right = metrics["tokens"] / sum(tokens)
    size = PER_STEP[kind]
    return [right * sum(tokens[i : i + size]) for i in range(0, len(tokens), size)]


def compiled_layers(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measures plain Transformers + PEFT with compiled layers, packed texts of equal lengths and a loss in slices."""
    import torch
    from peft import LoraConfig, get_peft_model

    from synthetic_instruction_tuner.training.packed.answer_scores import answer_scores

    lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(random_model(options, "flex_attention" if on_gpu() else "sdpa"), lora)
    base = model.get_base_model()
    device, texts, length = base.device, 12, 384 if on_gpu() else 16
    for i, layer in enumerate(base.model.layers):
        base.model.layers[i] = torch.compile(layer, dynamic=False) if on_gpu() else layer
    model.train()
    ids = torch.randint(10, base.config.vocab_size - 10, (1, texts * length), device=device)
    positions = torch.arange(length, device=device).repeat(texts)[None]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-4)
    clock = Clock()
    clock.start(part in options.profile.split(","))
    for step in range(options.steps):
        for _ in range(2):
            with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu()):
                hidden = base.model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state[0, :-1]
            scores = answer_scores(hidden.to(base.dtype), base.lm_head.weight, ids[0, 1:])
            (-scores.mean() / 2).backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.step(step + 1, options.steps, {})
    return clock.figures([2.0 * texts * length] * options.steps, "sft")


class Clock:
    """When each step ended; and, if asked, where the time of two of them went."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.extra: dict[str, float] = {}
        self.profiler: Any = None
        self.profile = False

    def start(self, profile: bool) -> None:
        """Starts the first step."""
        self.profile, self.begun = profile and on_gpu(), time.time()

    def made(self, model: Any) -> Any:
        """Returns the model; the first step begins when it is there."""
        self.begun = time.time()
        return model

    def step(self, step: int, steps: int, values: dict[str, float]) -> None:
        """Notes that a step has ended; steps 5 and 6 are profiled."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        if on_gpu():
            torch.cuda.synchronize()
        self.times.append(time.time())
        if self.profile and len(self.times) == 4:
            self.profiler = profile(activities=[ProfilerActivity.CUDA])
            self.profiler.start()
        elif self.profiler and len(self.times) == 6:
            self.profiler.stop()
            print_profile(self.profiler)
            self.profiler = None
            self.times[-1] = time.time()

    def callback(self) -> Any:
        """Returns this clock as a callback of Transformers' trainer."""
        from transformers import TrainerCallback

        clock = self

        class Steps(TrainerCallback):  # type: ignore[misc]
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                clock.begun = time.time()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                clock.step(0, 0, {})

        return Steps()

    def timed(self, name: str, function: Any, *arguments: Any) -> Any:
        """Calls a function and notes its seconds, which are then no part of the first step."""
        began = time.time()
        result = function(*arguments)
        self.extra[name] = time.time() - began
        return result

    def figures(self, tokens: list[float], kind: str, rows: int = 0) -> dict[str, Any]:
        """Returns the rate of the steps after the first two, and what the whole training of the plan would take."""
        steps = np.diff(self.times)
        counted = range(WARM - 1, len(steps))
        if self.profile:
            counted = range(6, len(steps))
        rate = sum(tokens[i + 1] for i in counted) / sum(steps[i] for i in counted)
        reference = self.extra.get("reference", 0.0)
        first = self.times[0] - self.begun - reference - tokens[0] / rate
        every = sum(tokens) / (len(tokens) * PER_STEP[kind])
        plan = first + PLAN[kind] * every / rate + (reference * PLAN[kind] / rows if rows else 0.0)
        found = {"tok_s": round(rate), "first_step_s": round(first, 1), "plan_s": round(plan, 1), "plan_tok_s": 0}
        found["plan_tok_s"] = round(PLAN[kind] * every / plan)
        return found | ({"reference_tok_s": round(sum(tokens) / reference)} if reference else {})


GROUPS = {
    "attention": ("flash", "fmha", "attention"),
    "matrix products": ("gemm", "nvjet", "cutlass", "cublas", "xmma", "splitk", "matmul", "s16816"),
    "dropout": ("dropout", "bernoulli", "masked_scale"),
    "norms": ("norm",),
    "softmax": ("softmax",),
    "copies and casts": ("copy", "memcpy", "memset", "cat", "cast"),
    "gather and scatter": ("index", "scatter", "gather"),
    "sums": ("reduce",),
    "elementwise": ("elementwise", "vectorized", "silu", "triton"),
}


def print_profile(profiler: Any) -> None:
    """Prints where two steps' GPU time went, by kind of kernel, and the largest kernels."""
    kernels: dict[str, tuple[float, int]] = {}
    spans: list[tuple[float, float]] = []
    for event in profiler.events():
        if str(event.device_type).endswith("CUDA"):
            took, count = kernels.get(event.name, (0.0, 0))
            kernels[event.name] = took + event.time_range.elapsed_us(), count + 1
            spans.append((event.time_range.start, event.time_range.end))
    total, wall = sum(t for t, _ in kernels.values()), max(e for _, e in spans) - min(s for s, _ in spans)
    groups: dict[str, float] = {}
    for name, (took, _) in kernels.items():
        group = next((g for g, marks in GROUPS.items() if any(m in name.lower() for m in marks)), "other")
        groups[group] = groups.get(group, 0.0) + took
    launches = sum(count for _, count in kernels.values())
    say(f"   two steps: {wall / 1e3:.0f} ms, kernels {total / 1e3:.0f} ms, launches {launches:,}")
    for group, took in sorted(groups.items(), key=lambda item: -item[1]):
        say(f"   {group:<20}{took / 1e3:>8.1f} ms{took / wall:>7.1%}")
    for name, (took, count) in sorted(kernels.items(), key=lambda item: -item[1][0])[:22]:
        say(f"      {took / 1e3:>7.1f} ms {count:>6,} x {name[:150]}")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints one row per part, each beside TRL's in the same call."""
    base = {row["part"].removeprefix("trl-"): row for row in rows if row["part"].startswith("trl-")}
    say(f"\n{'part':<12}{'tokens/s':>10}{'x TRL':>7}{'peak GiB':>10}{'first step s':>14}{'plan s':>9}{'x TRL':>7}")
    for row in rows:
        other = base.get(row["part"].removeprefix("trl-").split("-")[0])
        times = [row["tok_s"] / other["tok_s"], row["plan_tok_s"] / other["plan_tok_s"]] if other else [0.0, 0.0]
        say(
            f"{row['part']:<12}{row['tok_s']:>10,}{times[0]:>7.2f}{row['peak_gib']:>10}{row['first_step_s']:>14}"
            f"{row['plan_s']:>9}{times[1]:>7.2f}"
        )


def lengths(kind: str, count: int) -> list[list[int]]:
    """Returns the lengths of prompts and answers; for pairs there are two lists of answers."""
    rng = np.random.default_rng(0)
    sides = [(40, 0.5), *[(330, 0.6)] * (1 if kind == "sft" else 2)]
    return [np.clip(np.exp(rng.normal(np.log(m), s, size=count)).astype(int), 16, 900).tolist() for m, s in sides]


def letters(length: int) -> str:
    """Returns a text of so many letters, each a token of the byte tokenizer."""
    return "".join(chr(97 + i) for i in np.random.default_rng(length).integers(0, 26, size=length))


def words(length: int, answer: bool, options: argparse.Namespace) -> str:
    """Returns a text of so many words, each a token of the word tokenizer."""
    top = SHAPES[options.shape]["vocab"] - 20
    return " " * answer + " ".join(f"w{i}" for i in np.random.default_rng(length).integers(10, top, size=length))


def word_tokenizer(options: argparse.Namespace) -> Any:
    """Returns a tokenizer with a token per word, for TRL."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {f"w{i}": i for i in range(SHAPES[options.shape]["vocab"])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "w1", "eos_token": "w2", "bos_token": "w3", "unk_token": "w0"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, **special)


def model_config(options: argparse.Namespace) -> Any:
    """Returns the configuration of the model."""
    from transformers import LlamaConfig

    s = SHAPES[options.shape]
    return LlamaConfig(
        vocab_size=s["vocab"],
        hidden_size=s["hidden"],
        intermediate_size=s["mlp"],
        num_hidden_layers=s["layers"],
        num_attention_heads=s["heads"],
        num_key_value_heads=s["kv_heads"],
        max_position_embeddings=8192,
        rope_theta=500000.0,
        tie_word_embeddings=True,
        bos_token_id=3,
        eos_token_id=2,
        pad_token_id=1,
    )


def random_model(options: argparse.Namespace, attention: str = "sdpa") -> Any:
    """Returns the model with random weights, made where it is used."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config, device = model_config(options), "cuda" if on_gpu() else "cpu"
    kind = torch.bfloat16 if on_gpu() else torch.float32
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=kind)
    model = model.to_empty(device=device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    model.tie_weights()
    model.model.rotary_emb = LlamaRotaryEmbedding(config).to(device)
    return model.eval()


def on_gpu() -> bool:
    """Returns whether there is a GPU."""
    import torch

    return torch.cuda.is_available()


def say(text: str) -> None:
    """Prints at once."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
