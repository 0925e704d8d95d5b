"""Compares text generation on a CPU: the transformers engine of this project and a plain script around `generate`.

    python benchmarks/engine_speed.py [--requests 1500] [--threads 2] [--batches 32,64,128,256]

The model is a Llama with 2 million random weights (hidden size 192, 4 layers, vocabulary of 2,048 tokens). Prompts have
10 to 60 tokens. Answer lengths are drawn once (log-normal, median 40, 8 to 128 tokens) and forced for both, so that
both do the same work. The plain script sorts prompts by length, pads on the left, samples at temperature 1 and runs
each batch until its longest answer is done, as `generate` does. Its best batch size counts.

Required: the engine's best is at least 1.5 times the plain script's best. Measured with `--requests 300 --threads 1
--batches 64,128` on a shared x86 core, torch 2.13, transformers 5.23: plain 652 and 641 tokens/s, engine 1,631 and
1,711 tokens/s, ratio 2.62.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine

VOCABULARY, PAD = 2048, 2


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", default="32,64,128,256")
    parser.add_argument("--only", choices=["engine", "plain"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    batches = [int(b) for b in args.batches.split(",")]
    model, requests = tiny_llama(), make_requests(args.requests)
    tokens = sum(r.max_new_tokens for r in requests)
    print(f"{len(requests)} requests, {tokens} new tokens, {args.threads} threads")
    best = {}
    for name, run in (("plain", plain), ("engine", engine)):
        if args.only in (None, name):
            best[name] = max(measure(name, run, model, requests, batch, tokens) for batch in batches)
    if len(best) == 2:
        print(f"ratio of the best: {best['engine'] / best['plain']:.2f}")


def measure(name: str, run: Any, model: Any, requests: list[Request], batch: int, tokens: int) -> float:
    """Returns tokens per second, after a short warm-up."""
    run(model, requests[:batch], batch)
    start = time.perf_counter()
    written = run(model, requests, batch)
    seconds = time.perf_counter() - start
    assert written == tokens
    print(f"{name:8} batch {batch:4}: {seconds:6.2f} s {tokens / seconds:8.0f} tokens/s", flush=True)
    return tokens / seconds


def engine(model: Any, requests: list[Request], batch: int) -> int:
    """Runs this project's engine; returns the number of tokens written."""
    done = TransformersEngine(model, PAD, batch_size=batch, device="cpu").generate(requests)
    return sum(len(c.token_ids) for c in done)


@torch.inference_mode()
def plain(model: Any, requests: list[Request], batch: int) -> int:
    """Runs `generate` on fixed batches; returns the number of wanted tokens."""
    torch.manual_seed(0)
    requests = sorted(requests, key=lambda r: len(r.prompt_ids))
    for start in range(0, len(requests), batch):
        part = requests[start : start + batch]
        width, most = max(len(r.prompt_ids) for r in part), max(r.max_new_tokens for r in part)
        ids = torch.tensor([[PAD] * (width - len(r.prompt_ids)) + list(r.prompt_ids) for r in part])
        model.generate(
            ids, attention_mask=(ids != PAD).long(), do_sample=True, temperature=1.0, top_p=1.0, top_k=0,
            max_new_tokens=most, min_new_tokens=most, eos_token_id=1, pad_token_id=PAD,
        )  # fmt: skip
    return sum(r.max_new_tokens for r in requests)


def tiny_llama() -> Any:
    """Returns a Llama of the embedded models' size with random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
        num_key_value_heads=3, max_position_embeddings=1024, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def make_requests(count: int) -> list[Request]:
    """Returns the same requests on every call."""
    rng = np.random.default_rng(0)
    prompts, lengths = rng.integers(10, 60, count), np.exp(rng.normal(np.log(40), 0.5, count)).astype(int).clip(8, 128)
    return [
        Request(tuple(rng.integers(10, VOCABULARY, p).tolist()), seed, int(n), ())
        for seed, (p, n) in enumerate(zip(prompts, lengths, strict=True))
    ]


if __name__ == "__main__":
    main()
