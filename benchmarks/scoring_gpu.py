"""Compares log-probabilities and reward scores with what a plain loop over the libraries takes, on a GPU.

    python benchmarks/scoring_gpu.py                 # both parts, each in a process of its own, about two minutes
    python benchmarks/scoring_gpu.py --parts mmlu
    python benchmarks/scoring_gpu.py --tiny          # tries the script itself, on a CPU

Parts:
    mmlu     5-shot questions at Llama-3.2-3B's shape, the four letters each: our engine, which reads the examples of a
             subject once, and plain batches of whole prompts, sorted by length, once per question. Prompts are as long
             as those of MMLU's subjects. Required ratio: 4
    reward   three answers to each of 1,500 questions at DeBERTa-v3-large's shape: our scorer, and batches of 32 in the
             order of the answers, padded to the longest. Required ratio: 2

The models have random weights; no network is needed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

PARTS = {"mmlu": 4.0, "reward": 2.0}
# Tokens of five examples and of a question, on average: twelve subjects of MMLU, in characters over 4.4
SUBJECTS = {193: 42, 210: 54, 407: 68, 405: 74, 260: 54, 292: 91, 359: 86, 307: 47, 476: 98, 297: 60, 196: 57, 146: 32}
PLAIN_BATCH = {"mmlu": 64, "reward": 32}
ROUNDS = {"mmlu": 3, "reward": 1}


def main() -> int:
    """Runs the parts; returns 1 if a ratio is below what is required."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        ratio = {"mmlu": mmlu, "reward": reward}[args.inside](args.tiny)
        return int(ratio < PARTS[args.inside] and not args.tiny)
    more = ["--tiny"] if args.tiny else []
    codes = [subprocess.run([sys.executable, __file__, "--inside", part, *more]).returncode for part in args.parts]
    return max(codes)


def mmlu(tiny: bool) -> float:
    """Returns how many times faster our engine chooses letters."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = (64, 2, 4, 2, 128, 512) if tiny else (3072, 28, 24, 8, 8192, 128_256)
    hidden, layers, heads, shared, mlp, vocabulary = sizes
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=shared, max_position_embeddings=8192, tie_word_embeddings=True,
    )  # fmt: skip
    with torch.device(device):
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()
    draw, questions = random.Random(0), 6 if tiny else 246  # MMLU has 14,042 in 57 subjects
    prompts = [
        (*examples, *drawn(draw, vocabulary, max(8, int(draw.gauss(question, question / 3)))))
        for known, question in SUBJECTS.items()
        for examples in [drawn(draw, vocabulary, known)]
        for _ in range(questions)
    ]
    letters = [draw.randrange(vocabulary) for _ in range(4)]
    engine = TransformersEngine(model, 0, batch_size=64, device=device)

    def ours() -> list[list[float]]:
        found = engine.loglikelihood([(prompt, (letter,)) for prompt in prompts for letter in letters])
        return [[value for value, _ in found[i : i + 4]] for i in range(0, len(found), 4)]

    @torch.inference_mode()
    def plain() -> list[list[float]]:
        values: list[list[float]] = [[]] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        for start in range(0, len(order), PLAIN_BATCH["mmlu"]):
            part = order[start : start + PLAIN_BATCH["mmlu"]]
            width = max(len(prompts[i]) for i in part)
            ids = torch.tensor([[0] * (width - len(prompts[i])) + list(prompts[i]) for i in part], device=device)
            mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in part], device=device)
            logits = model(ids, attention_mask=mask, logits_to_keep=1, use_cache=False).logits[:, -1].float()
            for i, row in zip(part, torch.log_softmax(logits, -1)[:, letters].tolist(), strict=True):
                values[i] = row
        return values

    engine.loglikelihood([(prompts[0], (letters[0],))])
    ratio, mine, theirs = compared("MMLU, 5-shot", ours, plain, len(prompts), ROUNDS["mmlu"])
    same = sum(a.index(max(a)) == b.index(max(b)) for a, b in zip(mine, theirs, strict=True)) / len(prompts)
    how = "packed" if engine._packed and engine._packed[0] else "padded"
    print(f"{len(prompts):,} questions, {how}; the same letter in {same:.1%}", flush=True)
    return ratio


def reward(tiny: bool) -> float:
    """Returns how many times faster our scorer scores answers."""
    from random_models import write_model
    from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, PreferConfig
    from synthetic_instruction_tuner.models.hardware import detect
    from synthetic_instruction_tuner.preference.reward.model import open_reward_model

    sizes = (64, 2, 4, 4, 96, 512) if tiny else (1024, 24, 16, 16, 4096, 128_100)
    hidden, layers, heads, shared, mlp, vocabulary = sizes
    draw, count = random.Random(0), 10 if tiny else 1500
    median = 20 if tiny else 220
    asked = [words(draw, draw.randrange(10, 80)) for _ in range(count)]
    lengths = [int(draw.lognormvariate(0, 0.6) * median) + 1 for _ in range(3 * count)]
    items = [(asked[i // 3], words(draw, length)) for i, length in enumerate(lengths)]
    with tempfile.TemporaryDirectory() as folder:
        path = str(write_model(Path(folder) / "reward", "deberta", hidden, layers, heads, shared, mlp, vocabulary))
        config = PreferConfig()
        with open_reward_model(ModelConfig(path=path), config, EngineConfig(), detect()) as scorer:
            ratio, mine, theirs = _rewards(scorer, items, path, config, tiny)
    apart = max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
    spread = statistics.pstdev(theirs)
    print(f"{len(items):,} answers; the largest difference of a score is {apart:.1e}, their spread {spread:.1e}")
    return ratio


def _rewards(scorer: Any, items: list[tuple[str, str]], path: str, config: Any, tiny: bool) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from synthetic_instruction_tuner.records import Message

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).to(device).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)

    @torch.inference_mode()
    def plain() -> list[float]:
        values: list[float] = []
        for start in range(0, len(items), PLAIN_BATCH["reward"]):
            asked, answers = zip(*items[start : start + PLAIN_BATCH["reward"]], strict=True)
            inputs = tokenizer(
                list(asked), list(answers), padding=True, truncation=True, max_length=config.reward_max_tokens,
                return_tensors="pt",
            )  # fmt: skip
            values += model(**inputs.to(device)).logits[:, 0].tolist()
        return values

    return compared(
        "rewards",
        lambda: scorer.score([([Message("user", q)], a) for q, a in items]),
        plain,
        len(items),
        ROUNDS["reward"],
    )


def compared(
    name: str, ours: Callable[[], Any], plain: Callable[[], Any], count: int, rounds: int
) -> tuple[float, Any, Any]:
    """Runs both in turns and prints their medians; returns the ratio and what both found."""
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for side, run in (("ours", ours), ("plain", plain)):
            start = time.perf_counter()
            found[side] = run()
            seconds[side].append(time.perf_counter() - start)
    mine, theirs = (statistics.median(seconds[side]) for side in ("ours", "plain"))
    print("seconds: " + ", ".join(f"{side} {' '.join(f'{s:.2f}' for s in taken)}" for side, taken in seconds.items()))
    print(f"RESULT {name}: {count / mine:,.0f}/s, plain {count / theirs:,.0f}/s, {theirs / mine:.2f} times as fast")
    return theirs / mine, found["ours"], found["plain"]


def drawn(draw: random.Random, vocabulary: int, count: int) -> tuple[int, ...]:
    """Returns random tokens."""
    return tuple(draw.randrange(1, vocabulary) for _ in range(count))


def words(draw: random.Random, count: int) -> str:
    """Returns a text of this many letters, each of which is a token."""
    return "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(count))


if __name__ == "__main__":
    sys.exit(main())
