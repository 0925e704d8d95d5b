"""Soft prompts as tokens under vLLM and Transformers on a GPU: what PEFT computes, in batches, and never written.

    python benchmarks/export_gpu.py                     makes the exports, then checks them
    python benchmarks/export_gpu.py --make FOLDER       only makes them; needs no GPU and no vLLM
    python benchmarks/export_gpu.py --check FOLDER      only checks them; needs torch, transformers and vllm alone

For each nano student a soft prompt of 20 random rows of its vocabulary is exported. PEFT's own model, in float32 on the
CPU, gives the log-probabilities of one answer to each question, which Transformers and vLLM must give too. Then vLLM
writes many texts at a high temperature: no token of the soft prompt may be among them. It begins no further student
after a minute, so that it ends within 90 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

STUDENTS = ("llama", "qwen2", "mistral")
QUESTIONS = ("What is the sea?", "Name three colors.", "Who runs the bakery in Fenden, and since when?", "Why?")
TOKENS, ANSWER, SAMPLES, LAST_START = 20, 24, 256, 60.0


def make(folder: Path) -> None:
    """Writes the exports, and what PEFT's model says of an answer to each question."""
    for name in STUDENTS:
        make_one(name, folder / name)


def make_one(name: str, place: Path) -> None:
    """Writes one student's export, and ``expected.json`` beside it."""
    import torch
    from peft import PeftModel, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from synthetic_instruction_tuner.config import ModelConfig
    from synthetic_instruction_tuner.exporting.card import CardFacts
    from synthetic_instruction_tuner.exporting.export import Export
    from synthetic_instruction_tuner.models.loading import load_tokenizer, resolve

    model = ModelConfig(path=f"nano:student-{name}")
    base = AutoModelForCausalLM.from_pretrained(resolve(model), dtype=torch.float32)
    torch.manual_seed(1)
    get_peft_model(base, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS)).save_pretrained(
        place / "adapter"
    )
    Export(model, "prompt_tuning", place / "adapter", dtype="float32").write(
        place / "export", CardFacts("prompt tuning")
    )
    base = AutoModelForCausalLM.from_pretrained(resolve(model), dtype=torch.float32)
    peft, tokenizer = PeftModel.from_pretrained(base, place / "adapter").eval(), load_tokenizer(model)
    expected = []
    for question in QUESTIONS:
        turns = [{"role": "user", "content": question}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        scores = []
        for _ in range(ANSWER):
            with torch.no_grad():
                logits = peft(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits[0, -1]
            ids = [*ids, int(logits.argmax())]
            scores.append(float(logits.log_softmax(-1).max()))
        expected.append({"question": question, "answer": ids[-ANSWER:], "scores": scores})
    (place / "expected.json").write_text(json.dumps(expected))


def check(folder: Path, started: float) -> None:
    """Prints a line for each student and engine."""
    print(
        f"{'student':9} {'engine':13} {'largest difference, nats':>25} {'texts':>6} {'soft tokens':>12} {'seconds':>8}"
    )
    for engine in (by_transformers, by_vllm):
        for name in STUDENTS:
            if time.monotonic() - started > LAST_START:
                print(f"{name:9} {engine.__name__[3:]:13} not run: a minute is over")
                continue
            begun, place = time.monotonic(), folder / name
            expected = json.loads((place / "expected.json").read_text())
            largest, texts, soft = engine(str(place / "export"), expected)
            seconds = time.monotonic() - begun
            print(f"{name:9} {engine.__name__[3:]:13} {largest:25.4f} {texts:6} {soft:12} {seconds:8.1f}", flush=True)


def rows_of(path: str, expected: list[dict[str, Any]]) -> tuple[Any, list[list[int]], set[int]]:
    """Returns the tokenizer, each question's prompt, and the soft prompt's ids."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    turns = [[{"role": "user", "content": one["question"]}] for one in expected]
    rows = [tokenizer.apply_chat_template(t, add_generation_prompt=True, return_dict=False) for t in turns]
    return tokenizer, rows, {i for i, token in tokenizer.added_tokens_decoder.items() if "soft_prompt" in token.content}


def by_transformers(path: str, expected: list[dict[str, Any]]) -> tuple[float, int, int]:
    """Reads all answers in one left-padded batch, then writes texts by sampling in another."""
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).to(device).eval()
    tokenizer, rows, soft = rows_of(path, expected)
    whole = [row + one["answer"] for row, one in zip(rows, expected, strict=True)]
    batch = tokenizer.pad({"input_ids": whole}, padding=True, return_tensors="pt").to(device)
    places = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        scores = model(**batch, position_ids=places).logits.log_softmax(-1)
    largest = 0.0
    for number, one in enumerate(expected):
        found = scores[number, -ANSWER - 1 : -1].gather(-1, batch["input_ids"][number, -ANSWER:, None])[:, 0]
        largest = max(largest, float((found.cpu() - torch.tensor(one["scores"])).abs().max()))
    prompts = tokenizer.pad({"input_ids": rows}, padding=True, return_tensors="pt").to(device)
    count = SAMPLES // len(rows)
    written = model.generate(
        **prompts, do_sample=True, temperature=2.0, top_k=0, max_new_tokens=48, num_return_sequences=count
    )[:, prompts["input_ids"].shape[1] :]
    return largest, len(written), sum(int((written == i).sum()) for i in soft)


def by_vllm(path: str, expected: list[dict[str, Any]]) -> tuple[float, int, int]:
    """Reads all answers at once, then writes texts by sampling, both through vLLM."""
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    from vllm import LLM, SamplingParams

    _, rows, soft = rows_of(path, expected)
    llm = LLM(path, dtype="bfloat16", enforce_eager=True, gpu_memory_utilization=0.1, max_model_len=512, seed=0)
    whole = [{"prompt_token_ids": row + one["answer"]} for row, one in zip(rows, expected, strict=True)]
    read = llm.generate(whole, SamplingParams(max_tokens=1, prompt_logprobs=0), use_tqdm=False)
    largest = 0.0
    for out, one in zip(read, expected, strict=True):
        found = [scores[i].logprob for i, scores in zip(one["answer"], out.prompt_logprobs[-ANSWER:], strict=True)]
        largest = max(largest, *(abs(ours - theirs) for ours, theirs in zip(found, one["scores"], strict=True)))
    turns = [[{"role": "user", "content": one["question"]}] for one in expected]
    sampling = SamplingParams(temperature=2.0, max_tokens=48, n=SAMPLES // len(turns), seed=1)
    answers = llm.chat(turns, sampling, use_tqdm=False)  # the chat template puts the soft prompt there
    assert [list(out.prompt_token_ids) for out in answers] == rows, "vLLM reads other tokens"
    texts = [out.token_ids for answer in answers for out in answer.outputs]
    del llm
    return largest, len(texts), sum(i in soft for text in texts for i in text)


def main() -> None:
    """Makes and checks, or does one of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    parser.add_argument("--check", type=Path, metavar="FOLDER")
    given, started = parser.parse_args(), time.monotonic()
    if given.make or given.check:
        if given.make:
            make(given.make)
        if given.check:
            check(given.check, started)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        check(Path(folder), started)


if __name__ == "__main__":
    main()
