"""Runs the conformance suite with every engine on a GPU, and compares their speed with the libraries that they use.

    python benchmarks/engines_gpu.py                        # all parts, each in a separate process, about 12 minutes
    python benchmarks/engines_gpu.py --parts suite-vllm speed-vllm

Parts:
    suite-transformers, suite-vllm   the suite of tests/engines/conformance.py on the engine, in bfloat16
    suite-serve                      the same through the server engine, against `vllm serve` on loopback
    speed-vllm                       our vLLM engine and `vllm.LLM.generate` itself: the same loaded model, the same
                                     requests, alternating; ours has a seed for each request. Required ratio: 0.97
    speed-transformers               our transformers engine and `generate` in batches of 64. Required ratio: 25

Both speeds are measured with random weights in the shape of Llama-3.1-8B. Prompts have 20 to 120 tokens. Answer lengths
are drawn once (log-normal, median 260, 16 to 1024 tokens) and forced, so that both sides do the same work.

The script needs no network. The host needs torch, transformers, psutil, pydantic and requests, vLLM 0.25 for the vLLM
parts, and the folders src, tests and benchmarks of this repository. The models are created here and not downloaded. If
the packages are unpacked in a separate folder:

    PYTHONPATH=/tmp/site VLLM_USE_FLASHINFER_SAMPLER=0 python3 benchmarks/engines_gpu.py
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "engines")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

PARTS = ("suite-transformers", "suite-vllm", "suite-serve", "speed-vllm", "speed-transformers")
VOCABULARY = 128256
LIMIT = 420  # seconds for a part; where the host's CPU is slow, `generate` alone needs two minutes


def main() -> None:
    """Runs the parts and prints what each of them found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--requests", type=int, default=1024, help="for speed-vllm and speed-transformers")
    parser.add_argument("--batch", default="1024", help="of the transformers engine; or auto, as runs on a GPU have it")
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return run_part(args.inside, args)
    found = {part: start_part(part, args) for part in args.parts}
    print("\n" + "\n".join(f"{part:20} {result}" for part, result in found.items()))
    if any("FAILED" in result for result in found.values()):
        sys.exit(1)


def start_part(part: str, args: argparse.Namespace) -> str:
    """Runs a part in a process of its own; returns its last RESULT line."""
    line = [sys.executable, __file__, "--inside", part, "--requests", str(args.requests), "--batch", args.batch]
    start, result = time.monotonic(), "FAILED: it said nothing"
    # A session of its own: what it has started ends with it, or its output would never end.
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        guard = threading.Timer(LIMIT, lambda: os.killpg(process.pid, signal.SIGKILL))
        guard.start()
        for text in process.stdout:
            print(f"[{part}] {text}", end="", flush=True)
            if text.startswith("RESULT "):
                result = text.removeprefix("RESULT ").strip()
        guard.cancel()
    if time.monotonic() - start > LIMIT:
        result = "FAILED: it took too long"
    return f"{result} ({time.monotonic() - start:.0f} s)"


def run_part(part: str, args: argparse.Namespace) -> None:
    """Does a part's work in this process."""
    kind, engine = part.split("-")
    with tempfile.TemporaryDirectory() as folder:
        if kind == "suite":
            suite(engine, Path(folder))
        elif engine == "vllm":
            speed_vllm(Path(folder), args.requests)
        else:
            speed_transformers(args.requests, "auto" if args.batch == "auto" else int(args.batch))


# The suite


def suite(engine: str, folder: Path) -> None:
    """Opens the chain model as a user's model is opened, and asks all the checks."""
    from chain_model import write_chain_model

    from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.models.hardware import detect

    model = ModelConfig(path=str(write_chain_model(folder / "chain")))
    if engine == "serve":
        return suite_serve(model)
    config = EngineConfig(kind=engine, gpu_memory_utilization=0.3)  # type: ignore[arg-type]
    with open_engine(model, config, detect()) as (opened, template):
        passed = ask_all(opened, template.tokenizer)
    print(f"RESULT {passed}, and its memory came back", flush=True)


def suite_serve(model: Any) -> None:
    """The suite through `vllm serve`."""
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.config import EngineConfig
    from synthetic_instruction_tuner.engines.server.probe import open_server
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    line = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model.path, "--host", "127.0.0.1"]
    line += ["--port", port, "--gpu-memory-utilization", "0.3", "--enforce-eager", "--max-model-len", "2048"]
    template = ChatTemplate.from_tokenizer(load_tokenizer(model))
    with subprocess.Popen(line) as server:
        try:
            own = model.model_copy(update={"url": f"http://127.0.0.1:{port}/v1"})
            engine = open_server(own, EngineConfig(), template, wait=150)
            print("RESULT", f"{ask_all(engine, template.tokenizer)}; {engine.describe()}", flush=True)
        finally:
            server.terminate()


def ask_all(engine: Any, tokenizer: Any) -> str:
    """Runs every check; returns how many passed, and which did not."""
    from conformance import CHECKS, Subject

    subject, failed = Subject(engine, tokenizer), []
    for check in CHECKS:
        start = time.monotonic()
        try:
            check(subject)
        except Exception:
            failed.append(check.__name__)
            traceback.print_exc()
        print(f"{check.__name__:10} {time.monotonic() - start:6.1f} s {'FAILED' if check.__name__ in failed else 'ok'}")
    verdict = f"FAILED: {', '.join(failed)}" if failed else "ok"
    return f"{verdict}, {len(CHECKS) - len(failed)} of {len(CHECKS)} checks, {engine.capabilities}"


# Speed


def llama_8b() -> Any:
    """Returns the configuration of Llama-3.1-8B's shape."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, max_position_embeddings=8192, rope_theta=500000.0, dtype="bfloat16",
        bos_token_id=128000, eos_token_id=128009, tie_word_embeddings=False, architectures=["LlamaForCausalLM"],
    )  # fmt: skip


def make_requests(count: int) -> list[Any]:
    """Returns requests of forced lengths: no stop ids, so that only the limit ends a text."""
    import numpy as np

    from synthetic_instruction_tuner.engines.base import Request

    rng = np.random.default_rng(0)
    prompts = rng.integers(20, 120, count)
    lengths = np.exp(rng.normal(np.log(260), 0.6, count)).astype(int).clip(16, 1024)
    return [
        Request(tuple(rng.integers(1000, 120000, p).tolist()), seed, int(n), ())
        for seed, (p, n) in enumerate(zip(prompts, lengths, strict=True))
    ]


def speed_vllm(folder: Path, count: int) -> None:
    """Our engine and vLLM's own call in turns on one loaded model."""
    from synthetic_instruction_tuner.config import EngineConfig
    from synthetic_instruction_tuner.engines.vllm import VllmEngine, llm_arguments, prepare_environment

    prepare_environment()
    from vllm import LLM, SamplingParams

    llama_8b().save_pretrained(folder)
    llm = LLM(**llm_arguments(str(folder), EngineConfig(), "bfloat16") | {"load_format": "dummy"})
    requests = make_requests(count)
    tokens = sum(r.max_new_tokens for r in requests)

    def raw() -> int:
        prompts = [{"prompt_token_ids": list(r.prompt_ids)} for r in requests]
        sampling = [
            SamplingParams(temperature=1.0, top_p=1.0, max_tokens=r.max_new_tokens, ignore_eos=True, detokenize=False)
            for r in requests
        ]
        return sum(len(o.outputs[0].token_ids) for o in llm.generate(prompts, sampling, use_tqdm=False))

    engine = VllmEngine(llm)

    def ours() -> int:
        return sum(len(c.token_ids) for c in engine.generate(requests, lambda n: None))

    engine.generate(requests[:64])
    best = in_turns({"raw vLLM": raw, "our vllm engine": ours}, tokens, rounds=2)
    ratio = best["our vllm engine"] / best["raw vLLM"]
    engine.close()
    verdict = "ok" if ratio >= 0.97 else "FAILED"
    print("RESULT", verdict, f"{ratio:.3f} of raw vLLM's {best['raw vLLM']:,.0f} tokens/s", flush=True)


def speed_transformers(count: int, batch: int | Literal["auto"]) -> None:
    """Our engine, then `generate` on one batch of 64, on one model."""
    import torch
    from transformers import AutoModelForCausalLM

    from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine

    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(llama_8b(), dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    requests = make_requests(count)
    engine = TransformersEngine(model, 128004, batch_size=batch, device="cuda")
    engine.generate([r for r in requests if r.max_new_tokens < 64][:8])

    def ours() -> int:
        return sum(len(c.token_ids) for c in engine.generate(requests))

    def plain() -> int:
        """Batches of 64 until the longest answer of each is done; one batch is enough to see the speed."""
        part = requests[:64]
        width, most = max(len(r.prompt_ids) for r in part), max(r.max_new_tokens for r in part)
        ids = torch.tensor([[128004] * (width - len(r.prompt_ids)) + list(r.prompt_ids) for r in part], device="cuda")
        model.generate(
            ids, attention_mask=(ids != 128004).long(), do_sample=True, temperature=1.0, top_p=1.0, top_k=0,
            max_new_tokens=most, min_new_tokens=most, eos_token_id=None, pad_token_id=128004,
        )  # fmt: skip
        return sum(r.max_new_tokens for r in part)

    mine = in_turns({f"our engine, batch {batch}": ours}, sum(r.max_new_tokens for r in requests), rounds=2)
    theirs = in_turns({"generate, batch 64": plain}, sum(r.max_new_tokens for r in requests[:64]), rounds=1)
    (a,), (b,) = mine.values(), theirs.values()
    peak = torch.cuda.max_memory_allocated() / 2**30
    verdict = "ok" if a >= 25 * b else "FAILED"
    rows = f"{engine._at_once} rows" if batch == "auto" else f"batch {engine.batch_size}"
    print("RESULT", verdict, f"{a / b:.2f} times generate's {b:,.0f} tokens/s, {rows}, peak {peak:.1f} GiB", flush=True)


def in_turns(sides: dict[str, Any], tokens: int, rounds: int) -> dict[str, float]:
    """Returns each side's best tokens per second."""
    best = dict.fromkeys(sides, 0.0)
    for _ in range(rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            written = run()
            seconds = time.perf_counter() - start
            assert written == tokens, (written, tokens)
            best[name] = max(best[name], tokens / seconds)
            print(
                json.dumps({"side": name, "seconds": round(seconds, 2), "tokens/s": round(tokens / seconds)}),
                flush=True,
            )
    return best


if __name__ == "__main__":
    main()
