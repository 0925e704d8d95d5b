"""Compares MMLU and IFEval with lm-evaluation-harness' own model on a GPU, and evaluates in one run at real shapes.

    python benchmarks/evaluation_gpu.py --data FOLDER                # all parts, each in a process, about four minutes
    python benchmarks/evaluation_gpu.py --data FOLDER --parts run
    python benchmarks/evaluation_gpu.py --data FOLDER --shape tiny   # tries the script itself, on a CPU

FOLDER is what `evaluate.data_dir` names: ifeval/, mmlu/, mt_bench/ and nltk_punkt_tab/. Python packages that the host
lacks (lm_eval, nltk, langdetect and what they need) may lie in FOLDER/site. No network is needed.

Parts:
    mmlu     5-shot, six subjects, at Llama-3.2-3B's shape: `Evaluator`, and `HFLM.loglikelihood` with batch size auto,
             in turns on the same loaded model and the same texts. Required ratio: 4
    ifeval   greedy answers at the same shape: `Evaluator` on all prompts, scoring included, and `HFLM.generate_until`
             with batch size auto on some of them, scoring not included. Required ratio: 3
    run      `sit run --limit` with IFEval, MMLU and MT-Bench at Llama-3.2-1B's shape, and a judge on this machine;
             no agents

Weights are random. The tokenizer is trained on the benchmarks' own texts, so prompts have about as many tokens as for
real models. Random weights do not end their answers, so lengths are forced on both sides: the same for the same prompt,
log-normal, at most `--max-new-tokens`. The harness' search for a batch size is made once in a whole evaluation and is
not counted. The judge of part `run` knows ten thousands of words that are verdicts, so its noise can be read.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("HF_HUB_OFFLINE", "1")

REQUIRED = {"mmlu": 4.0, "ifeval": 3.0}
PARTS = {"mmlu": 120, "ifeval": 240, "run": 560}  # seconds after which a part is given up
SUBJECTS = ("econometrics", "high_school_geography", "marketing", "philosophy", "virology", "world_religions")
# hidden, layers, heads, key-value heads, mlp, vocabulary
SHAPES = {
    "real": {
        "measured": (3072, 28, 24, 8, 8192, 128_256),  # Llama-3.2-3B
        "llama": (2048, 16, 32, 8, 8192, 128_256),  # Llama-3.2-1B
        "qwen2": (1536, 28, 12, 2, 8960, 151_936),  # Qwen2.5-1.5B
        "deberta": (1024, 24, 16, 16, 4096, 128_100),
    },
    "tiny": {
        "measured": (64, 2, 4, 2, 128, 8192),
        "llama": (64, 2, 4, 2, 96, 8192),
        "qwen2": (64, 2, 4, 2, 96, 8192),
        "deberta": (64, 2, 4, 4, 96, 8192),
    },
}
WORDS = {"real": 16_000, "tiny": 4_000}  # that the tokenizer learns
CONTEXT = {"real": 8192, "tiny": 1024}
HARNESS_BATCH = {"real": 64, "tiny": 8}  # where the harness' search for a batch size begins; 64 is its default
NOISE = "\u0120~{:x}".format  # words that no text has
MEDIAN_LENGTH, SPREAD = 260, 0.6  # of an answer, in tokens, and of its logarithm


def main() -> int:
    """Runs the parts and prints what each of them found; returns 1 if one has failed or is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--shape", choices=SHAPES, default="real")
    parser.add_argument("--prompts", type=int, default=64, help="of IFEval, for the harness")
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--limit", type=int, default=24, help="of part run")
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.data = args.data.resolve()
    if args.inside:
        from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries

        quiet_libraries()
        with tempfile.TemporaryDirectory() as folder:
            {"mmlu": mmlu, "ifeval": ifeval, "run": whole_run}[args.inside](args, Path(folder))
        return 0
    found = {part: start_part(part) for part in args.parts}
    say("\n" + "\n".join(f"{part:8} {result}" for part, result in found.items()))
    return int(any("FAILED" in result for result in found.values()))


def start_part(part: str) -> str:
    """Runs a part in a process of its own, printing line by line; returns its last RESULT line."""
    data = Path(sys.argv[sys.argv.index("--data") + 1]).resolve() if "--data" in sys.argv else None
    places = [data / "site" if data else None, ROOT / "src", ROOT / "tests", os.environ.get("PYTHONPATH")]
    own = {"PYTHONPATH": os.pathsep.join(str(p) for p in places if p), "PYTHONUNBUFFERED": "1"}
    start, result = time.monotonic(), "FAILED: it said nothing"
    # A session of its own: what it has started ends with it, or its output would never end.
    with subprocess.Popen(
        [sys.executable, __file__, *sys.argv[1:], "--inside", part],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=os.environ | own, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        guard = threading.Timer(PARTS[part], lambda: os.killpg(process.pid, signal.SIGKILL))
        guard.start()
        for text in process.stdout:
            say(f"[{part} {time.monotonic() - start:5.1f} s] {text.rstrip()}")
            if text.startswith("RESULT "):
                result = text.removeprefix("RESULT ").strip()
        code = process.wait()
        guard.cancel()
    seconds = time.monotonic() - start
    if seconds > PARTS[part]:
        result = "FAILED: it took too long"
    elif code and "FAILED" not in result:
        result = f"FAILED with exit code {code}: {result}"
    return f"{result} ({seconds:.0f} s)"


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


# MMLU and IFEval against the harness


def mmlu(args: argparse.Namespace, folder: Path) -> None:
    """Both choose letters, in turns; the texts are the same."""
    from lm_eval.api.instance import Instance

    from synthetic_instruction_tuner.config import EvaluateConfig
    from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.items import LETTERS, read_questions
    from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.prompts import continuations, opening
    from synthetic_instruction_tuner.evaluation.benchmarks.subsets import fixed_subset

    for part in ("test", "dev"):
        (folder / "mmlu" / part).mkdir(parents=True)
        for subject in SUBJECTS:
            shutil.copy(args.data / "mmlu" / part / f"{subject}_{part}.csv", folder / "mmlu" / part)
    questions = read_questions(folder / "mmlu")
    chosen = fixed_subset(questions.test, len(questions.test) if args.shape == "real" else 60)
    contexts = [opening(i.subject, questions.examples[i.subject]) + i.prompt for i in chosen]
    model, tokenizer, device = opened(args)
    engine, settings = our_engine(model, tokenizer, device), {"items": len(contexts), "further": []}
    config = EvaluateConfig.model_validate({"benchmarks": ["mmlu"], "data_dir": str(folder), "mmlu": settings})
    lm = harness(model, tokenizer, device, args.shape)
    asked = [
        Instance(request_type="loglikelihood", doc={}, arguments=(context, letter), idx=0)
        for context in contexts
        for letter in continuations()
    ]
    tokens = [len(tokenizer.encode(context)) for context in contexts]
    say(f"{len(contexts):,} questions of {len(SUBJECTS)} subjects, {statistics.mean(tokens):,.0f} tokens on average")

    def ours() -> list[str]:
        return [item.outputs[0] for item in evaluate(config, "mmlu", engine, tokenizer).items]

    def theirs() -> list[str]:
        values = [value for value, _ in lm.loglikelihood(asked, disable_tqdm=True)]
        rows = [values[i : i + 4] for i in range(0, len(values), 4)]
        return [LETTERS[row.index(max(row))] for row in rows]

    warm_up(engine, tokenizer, config, "mmlu")
    seconds, letters = {}, {}
    for _ in range(2 if args.shape == "real" else 1):
        for side, choose in (("ours", ours), ("harness", theirs)):
            letters[side], spent = timed(choose, lm)
            seconds[side] = min(spent, seconds.get(side, spent))
            say(f"{side:8} {spent:7.2f} s, {len(contexts) / spent:,.1f} questions/s")
    same = sum(a == b for a, b in zip(letters["ours"], letters["harness"], strict=True)) / len(contexts)
    say(f"the harness looked {lm.searched:.1f} s for batch size {lm.found}; the same letter in {same:.1%}")
    verdict("mmlu", {side: len(contexts) / spent for side, spent in seconds.items()}, "questions")


def ifeval(args: argparse.Namespace, folder: Path) -> None:
    """Ours answers all prompts, the harness some of them; the same prompt gets an answer of the same length."""
    from lm_eval.api.instance import Instance

    from synthetic_instruction_tuner.config import EvaluateConfig
    from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.items import read_items
    from synthetic_instruction_tuner.evaluation.benchmarks.subsets import fixed_subset

    model, tokenizer, device = opened(args)
    most, median = (args.max_new_tokens, MEDIAN_LENGTH) if args.shape == "real" else (24, 14)
    every = read_items(args.data / "ifeval")
    chosen = fixed_subset(every, args.prompts if args.shape == "real" else 8)
    engine = our_engine(model, tokenizer, device, lambda ids: forced_length(plain(ids, tokenizer), most, median))
    lm = harness(model, tokenizer, device, args.shape)
    written = force_lengths(model, tokenizer, most, median)
    turns = [[{"role": "user", "content": item.prompt}] for item in chosen]
    texts = [tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]
    settings = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": most}
    asked = [Instance(request_type="generate_until", doc={}, arguments=(text, dict(settings)), idx=0) for text in texts]
    config = EvaluateConfig.model_validate({"benchmarks": ["ifeval"], "data_dir": str(args.data)})
    warm_up(engine, tokenizer, config, "ifeval")
    rates = {}
    for name, items in (("these", len(chosen)), ("ours", len(every))):
        own = config.ifeval.model_copy(update={"items": items, "max_new_tokens": most})
        asked_of = config.model_copy(update={"ifeval": own})
        before = engine.written
        _, spent = timed(partial(evaluate, asked_of, "ifeval", engine, tokenizer), lm)
        tokens, rates[name] = engine.written - before, items / spent
        say(f"ours     {spent:7.2f} s for {items} prompts, {rates[name]:.2f}/s, {tokens / spent:,.0f} tokens/s")
        if name == "these":
            same = tokens
    _, spent = timed(lambda: lm.generate_until(asked, disable_tqdm=True), lm)
    rates["harness"] = len(asked) / spent
    shown = f"{rates['harness']:.2f}/s, {sum(written) / spent:,.0f} tokens/s"
    say(f"harness  {spent:7.2f} s for {len(asked)} prompts, {shown}")
    say(f"it looked {lm.searched:.1f} s for batch size {lm.found}, and wrote {sum(written):,} tokens, ours {same:,}")
    say(f"all {len(every)} prompts would take it {len(every) / rates['harness']:,.0f} s")
    say(f"on the same {len(asked)} prompts ours is {rates['these'] / rates['harness']:.2f} times as fast")
    verdict("ifeval", {side: rates[side] for side in ("ours", "harness")}, "prompts")


def opened(args: argparse.Namespace) -> tuple[Any, Any, str]:
    """Returns a model of the measured shape with random weights, its tokenizer and its device."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from random_models import CHATML

    device = "cuda" if torch.cuda.is_available() else "cpu"
    hidden, layers, heads, shared, mlp, vocabulary = SHAPES[args.shape]["measured"]
    tokenizer = trained_tokenizer(args, CHATML, vocabulary, NOISE)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=shared, max_position_embeddings=CONTEXT[args.shape],
        tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(device):
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()
    say(f"{sum(p.numel() for p in model.parameters()):,} random weights on {device}")
    return model, tokenizer, device


def trained_tokenizer(args: argparse.Namespace, template: str, size: int, filler: Callable[[int], str]) -> Any:
    """Returns a tokenizer of `size` tokens: of the benchmarks' texts, words that only a model writes, specials."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from random_models import LLAMA3, SPECIALS

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator(
        benchmark_texts(args.data),
        trainers.BpeTrainer(vocab_size=WORDS[args.shape], initial_alphabet=alphabet, show_progress=False),
    )
    learned = json.loads(raw.to_str())["model"]
    vocabulary = dict(learned["vocab"])
    for number in range(len(vocabulary), size - len(SPECIALS)):
        vocabulary[filler(number)] = number
    raw.model = models.BPE(vocab=vocabulary, merges=[tuple(pair) for pair in learned["merges"]])
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(list(SPECIALS))
    end = "<|eot_id|>" if template == LLAMA3 else "<|im_end|>"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|begin|>", eos_token=end, pad_token="<|pad|>")
    tokenizer.chat_template = template
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    assert len(tokenizer) == size, (len(tokenizer), size)
    return tokenizer


def benchmark_texts(data: Path) -> Iterable[str]:
    """Yields texts to train a tokenizer on."""
    for file in sorted((data / "mmlu").glob("*/*.csv")):
        yield from file.read_text().splitlines()
    for line in (data / "ifeval" / "input_data.jsonl").read_text().splitlines():
        yield json.loads(line)["prompt"]


def our_engine(model: Any, tokenizer: Any, device: str, length: Callable[[Sequence[int]], int] | None = None) -> Any:
    """Returns our engine; with `length` every text ends after so many tokens, and not before."""
    from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine

    class Forced(TransformersEngine):
        written = 0

        def generate(self, requests: Sequence[Any], done: Any = None) -> list[Any]:
            if length is not None:
                requests = [replace(r, stop_ids=(), max_new_tokens=length(r.prompt_ids)) for r in requests]
            found = super().generate(requests, done)
            self.written += sum(len(completion.token_ids) for completion in found)
            return found

    return Forced(model, tokenizer.pad_token_id, batch_size="auto", device=device)


def evaluate(config: Any, name: str, engine: Any, tokenizer: Any) -> Any:
    """Returns the result of a benchmark, as a run asks it."""
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.evaluation import Evaluator

    return Evaluator(config).evaluate(name, engine, ChatTemplate.from_tokenizer(tokenizer), tokenizer)


def warm_up(engine: Any, tokenizer: Any, config: Any, name: str) -> None:
    """Lets our engine find out how this model is run, and compile its kernels; loads what scores."""
    start, few = time.perf_counter(), getattr(config, name).model_copy(update={"items": 8})
    evaluate(config.model_copy(update={name: few}), name, engine, tokenizer)
    say(f"our first {few.items} answers took {time.perf_counter() - start:.1f} s, not counted")


def harness(model: Any, tokenizer: Any, device: str, shape: str) -> Any:
    """Returns the harness' own model with batch size auto; the time of its search is counted apart."""
    from lm_eval.models.huggingface import HFLM

    class Measured(HFLM):  # type: ignore[misc]
        searched, found = 0.0, 0

        def _detect_batch_size(self, *given: Any, **named: Any) -> int:
            start = time.perf_counter()
            self.found = super()._detect_batch_size(*given, **named)
            self.searched += time.perf_counter() - start
            return int(self.found)

    return Measured(
        pretrained=model, tokenizer=tokenizer, device=device, batch_size="auto", max_batch_size=HARNESS_BATCH[shape]
    )


def timed(work: Callable[[], Any], lm: Any) -> tuple[Any, float]:
    """Returns what the work returns, and its seconds without the harness' search for a batch size."""
    start, before = time.perf_counter(), lm.searched
    found = work()
    return found, time.perf_counter() - start - (lm.searched - before)


def forced_length(ids: Sequence[int], most: int, median: int) -> int:
    """Returns how many tokens the answer to a prompt has: log-normal, drawn from the prompt itself."""
    drawn = int.from_bytes(hashlib.blake2b(repr(tuple(ids)).encode(), digest_size=8).digest(), "big")
    quantile = statistics.NormalDist(math.log(median), SPREAD).inv_cdf((drawn + 1) / (2**64 + 2))
    return max(8, min(int(math.exp(quantile)), most))


def plain(ids: Iterable[int], tokenizer: Any) -> tuple[int, ...]:
    """Returns a prompt without padding and BOS, which the two sides may set differently."""
    return tuple(i for i in ids if i not in (tokenizer.pad_token_id, tokenizer.bos_token_id))


def force_lengths(model: Any, tokenizer: Any, most: int, median: int) -> list[int]:
    """Makes `model.generate` end each row after its own number of tokens; returns a list that gets these numbers."""
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList

    generate, written = model.generate, list[int]()

    class Forced(LogitsProcessor):  # type: ignore[misc]
        def __init__(self, lengths: list[int], width: int, device: Any) -> None:
            self.lengths, self.width = torch.tensor(lengths, device=device), width

        def __call__(self, ids: Any, scores: Any) -> Any:
            ends = self.lengths <= ids.shape[1] - self.width + 1
            scores[:, tokenizer.eos_token_id] = torch.where(ends, torch.inf, -torch.inf).to(scores.dtype)
            return scores

    def forced(*given: Any, input_ids: Any, **named: Any) -> Any:
        lengths = [forced_length(plain(row, tokenizer), most, median) for row in input_ids.tolist()]
        written.extend(lengths)
        own = LogitsProcessorList([Forced(lengths, input_ids.shape[1], input_ids.device)])
        return generate(*given, input_ids=input_ids, logits_processor=own, **named)

    model.generate = forced
    return written


def verdict(part: str, rates: dict[str, float], what: str) -> None:
    """Prints the result."""
    ratio = rates["ours"] / rates["harness"]
    word = "ok" if ratio >= REQUIRED[part] else "FAILED"
    shown = f"{rates['ours']:,.1f} {what}/s, harness {rates['harness']:,.1f}"
    say(f"RESULT {word}: {shown}: {ratio:.2f} times as fast, required {REQUIRED[part]:g}")


# A whole run


def whole_run(args: argparse.Namespace, folder: Path) -> None:
    """Writes the models, calls `sit run`, and prints what the run has found."""
    from real_shapes import SETTINGS

    from random_models import CHATML, LLAMA3

    llama = written(args, folder, "llama", LLAMA3, NOISE)
    judge = written(args, folder, "qwen2", CHATML, lambda n: f"[[{1 + n % 9}.{n:06d}]]", tied=False)
    reward = written(args, folder, "deberta", CHATML, NOISE)
    settings = SETTINGS | {"prefer": SETTINGS["prefer"] | {"samples": 2}}  # of the one responder
    settings["filter"] = settings["filter"] | {"contamination": {"folder": str(args.data)}}
    models = {"generator": llama, "responders": [llama], "students": [llama], "reward": reward}
    most = 256 if args.shape == "real" else 24
    evaluated = {
        "benchmarks": ["ifeval", "mmlu", "mt_bench"],
        "data_dir": str(args.data),
        "ifeval": {"max_new_tokens": most},
        "mt_bench": {"max_new_tokens": most, "judge": {"model": {"path": judge}, "max_new_tokens": 64}},
    }
    config, run = folder / "config.yaml", folder / "run"
    config.write_text(
        yaml.safe_dump({**settings, "models": models, "evaluate": evaluated, "agents": {"benchmarks": []}})
    )
    sit = [sys.executable, "-m", "synthetic_instruction_tuner"]
    code = subprocess.run([*sit, "run", "--config", config, "--run-dir", run, "--limit", str(args.limit)]).returncode
    subprocess.run([*sit, "status", "--run-dir", run])
    table = run / "evaluation" / "metrics" / "comparison_summary.csv"
    rows = list(csv.DictReader(table.open())) if table.exists() else []
    for row in rows:
        say(f"{row['model']:14} {row['variant']:14} {row['benchmark']:28} {row['metric']:20} {float(row['value']):.3f}")
    names = sorted({row["benchmark"] for row in rows})
    word = "ok" if not code and len(names) == 3 else f"FAILED with exit code {code}"
    say(f"RESULT {word}: {len(rows)} scores of {', '.join(names) or 'nothing'}")


def written(
    args: argparse.Namespace, folder: Path, name: str, template: str, filler: Callable[[int], str], tied: bool = True
) -> str:
    """Writes a model and its tokenizer; returns its folder."""
    from random_models import write_model

    start = time.perf_counter()
    hidden, layers, heads, shared, mlp, vocabulary = SHAPES[args.shape][name]
    path = folder / f"random-{name}"
    dtype = "bfloat16" if args.shape == "real" else "float32"
    write_model(path, name, hidden, layers, heads, shared, mlp, vocabulary, template, dtype=dtype, tied=tied)
    if name != "deberta":
        trained_tokenizer(args, template, vocabulary, filler).save_pretrained(path)
    say(f"{path.name} written in {time.perf_counter() - start:.1f} s")
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
