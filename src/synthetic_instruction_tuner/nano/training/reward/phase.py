"""From trained language models to a trained reward model: ask, answer, label, train, and test on held-out pairs."""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file, write_text
from synthetic_instruction_tuner.nano.training import corpus
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.reward import groups as reward_groups
from synthetic_instruction_tuner.nano.training.reward import ranking
from synthetic_instruction_tuner.nano.training.reward.groups import Group, Question
from synthetic_instruction_tuner.nano.world.family import Split

Flat = tuple[NDArray[np.uint16], list[int], list[int]]  # an encoded group: token ids end to end, lengths, labels

GROUPS, HELD_OUT = 88_000, 2_000  # instructions that the reward model learns from, and those that test it
CHUNK = 500  # instructions per labelling job
MAX_ANSWER = 160  # tokens
EXCHANGES = 800_000  # prompts with answers that it is pretrained on
PRETRAINED = "reward-pretrained"  # folder in the work folder
GROUPS_FILE = "groups.pickle"  # in the work folder
PRETRAINING = 0.75  # share of the minutes
MODELS = frozenset(name for name, _, _ in reward_groups.SAMPLES)  # it learns from their answers
WRITER = "responder-llama"  # proposes the replacements: its own mistakes are the likely ones


RunJobs = Callable[[argparse.Namespace, Sequence[str], float], list[str]]


def run(options: argparse.Namespace, run_jobs: RunJobs) -> None:
    """Pretrains, trains, tests and saves the reward model, within the options' minutes.

    What is already in the work folder (the pretrained model, a model's answers) is not made again.

    Args:
        options: of the command.
        run_jobs: runs jobs such as ``answer:generator`` side by side.
    """
    began = time.perf_counter()

    def left() -> float:
        return max(0.2, float(options.minutes) - (time.perf_counter() - began) / 60)

    make_answers(options, run_jobs)
    missing = [
        job for job, file in (("pretrain", PRETRAINED), ("label", GROUPS_FILE)) if not (options.work / file).exists()
    ]
    if missing and (failed := run_jobs(options, [f"{job}:reward" for job in missing], left() * PRETRAINING)):
        raise RuntimeError(f"failed: {', '.join(failed)}")
    train, held_out = load_groups(options)
    tokenizer = Tokenizer.from_file(str(_tokenizer_file(options)))
    data = ranking.encode_groups(train, options.device)
    print(
        f"[reward] {len(data.members)} groups with {len(data.labels)} answers, {len(data.tokens) / 1e6:.1f}M tokens; "
        f"held out: {len(held_out)} groups; {time.perf_counter() - began:.0f} s so far",
        flush=True,
    )
    model = _load(options.work / PRETRAINED, options.device)
    ranking.train_reward_model(
        model,
        data,
        epochs=options.epochs,
        tokens_per_step=_tokens_per_step(options),
        rate=0.001,
        seed=options.seed,
        minutes=left() - 0.3,
    )
    ranking.save_reward_model(model, tokenizer, options.out / "reward", {})
    accuracy = ranking.test(model.float().eval(), tokenizer, held_out)
    for name, value in accuracy.items():
        print(f"[reward] held-out pairs, {name}: {value['share']:.3f} (se {value['se']:.3f}, n {value['n']:.0f})")
    report = {"model": "reward", "seed": options.seed, "groups": len(data.members), "pair_accuracy": accuracy}
    ranking.save_reward_model(model, tokenizer, options.out / "reward", report)


def forget(work: Path, names: Sequence[str]) -> None:
    """Removes what was made with these language models, as they are trained anew."""
    if asked := MODELS.intersection(names):
        for file in (GROUPS_FILE, *(f"answers-{name}.json" for name in asked)):
            (work / file).unlink(missing_ok=True)
    if WRITER in names:
        shutil.rmtree(work / PRETRAINED, ignore_errors=True)


def pretrain(options: argparse.Namespace, name: str) -> None:
    """Pretrains the reward model, within the options' minutes, and saves it in float32 in the work folder."""
    from synthetic_instruction_tuner.nano.training.reward import pretraining as reward_pretraining
    from synthetic_instruction_tuner.nano.training.reward.exchanges import make_exchanges
    from synthetic_instruction_tuner.nano.training.sampling import load_model

    if not tok.same(_tokenizer_file(options), model_folder(options, WRITER) / "tokenizer.json"):
        raise RuntimeError(f"{WRITER} has another tokenizer than {_tokenizer_file(options)}: train it too")
    began = time.perf_counter()
    count = int(EXCHANGES * options.tokens_scale) + 20
    data = make_exchanges(count, str(_tokenizer_file(options)), options.workers, options.seed, options.device)
    spent = time.perf_counter() - began
    print(
        f"[{name}] {len(data.widths)} exchanges, {len(data.answers.tokens) / 1e6:.1f}M tokens of answers, {spent:.0f} s"
    )
    start = options.start / "reward" if options.start else None
    model = _load(start, options.device) if start else ranking.new_model(options.seed, options.device)
    reward_pretraining.pretrain(
        model,
        load_model(model_folder(options, WRITER), options.device),
        data,
        tokens_per_step=_tokens_per_step(options),
        rate=0.002,
        seed=options.seed,
        minutes=max(0.1, options.minutes - (time.perf_counter() - began) / 60),
    )
    half = options.work / f".{PRETRAINED}"
    model.save_pretrained(half)
    half.rename(options.work / PRETRAINED)


def answer(options: argparse.Namespace, name: str) -> None:
    """Writes one model's answers to its share of the questions, as [index, text] pairs."""
    from synthetic_instruction_tuner.nano.training.sampling import load_model, sample

    began = time.perf_counter()
    folder = model_folder(options, name)
    model, tokenizer = load_model(folder, options.device), Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompts = json.loads((options.work / "prompts.json").read_text())
    ids = [encoding.ids for encoding in tokenizer.encode_batch(prompts)]
    found = []
    for number, (model_name, temperature, times) in enumerate(reward_groups.SAMPLES):
        if model_name != name:
            continue
        rng = Random(f"{options.seed}-{number}")
        chosen = [i for i in range(len(ids)) for _ in range(int(times + rng.random()))]
        batch = 8192 if options.device == "cuda" else 128
        wanted = [ids[i] for i in chosen]
        written = sample(model, wanted, temperature=temperature, seed=number, max_new_tokens=MAX_ANSWER, batch=batch)
        texts = tokenizer.decode_batch([tokens for tokens, _ in written])
        found += list(zip(chosen, texts, strict=True))
        print(f"[answer:{name}] T={temperature}: {len(chosen)}, {time.perf_counter() - began:.0f} s", flush=True)
    write_text(options.work / f"answers-{name}.json", json.dumps(found))


def make_answers(options: argparse.Namespace, run_jobs: RunJobs) -> None:
    """Writes the questions' prompts and all models' answers to them into the work folder, unless they exist."""
    missing = [name for name in sorted(MODELS) if not (options.work / f"answers-{name}.json").exists()]
    if missing:
        train, held_out = both_questions(options)
        prompts = [tok.render(question.messages, add_generation_prompt=True) for question in train + held_out]
        write_text(options.work / "prompts.json", json.dumps(prompts))
        print(f"[reward] {len(train)} + {len(held_out)} instructions; sampling answers", flush=True)
        if failed := run_jobs(options, [f"answer:{name}" for name in missing], options.minutes / 2):
            raise RuntimeError(f"failed: {', '.join(failed)}")


def both_questions(options: argparse.Namespace) -> tuple[list[Question], list[Question]]:
    """Returns the questions to learn from, and those of the other split to test on."""
    held_out = int(HELD_OUT * min(1.0, options.tokens_scale * 10)) + 20
    return ask(options, "train", int(GROUPS * options.tokens_scale) + 20), ask(options, "eval", held_out)


def make_groups(options: argparse.Namespace, name: str) -> None:
    """Writes encoded training groups, and held-out groups of model answers alone, into the work folder."""
    began = time.perf_counter()
    train, held_out = both_questions(options)
    answers: list[list[str]] = [[] for _ in train + held_out]
    for model in sorted(MODELS):
        for index, text in json.loads((options.work / f"answers-{model}.json").read_text()):
            answers[index].append(text)
    groups = label(options, train, answers[: len(train)])
    tests = label_held_out(options, held_out, answers[len(train) :])
    with atomic_file(options.work / GROUPS_FILE) as stream:
        pickle.dump((groups, tests), stream)
    print(f"[{name}] {len(groups)} + {len(tests)} groups labelled in {time.perf_counter() - began:.0f} s", flush=True)


def load_groups(options: argparse.Namespace) -> tuple[list[Flat], list[Group]]:
    """Returns what `make_groups` wrote."""
    with (options.work / GROUPS_FILE).open("rb") as source:
        found: tuple[list[Flat], list[Group]] = pickle.load(source)
    return found


def ask(options: argparse.Namespace, split: Split, count: int) -> list[Question]:
    """Returns `count` questions of the split."""
    size = min(CHUNK, count)
    seeds = [f"{options.seed}-questions-{split}-{i}" for i in range(-(-count // size))]
    parts = corpus.run_jobs(partial(reward_groups.questions, split=split, count=size), seeds, options.workers)
    return [question for part in parts for question in part][:count]


def label(options: argparse.Namespace, questions: list[Question], answers: list[list[str]]) -> list[Flat]:
    """Returns encoded groups of model answers and spoiled ones."""
    strangers = [q.truth for q in questions[:3000]] + reward_groups.flawed_answers(f"{options.seed}-flaws", 3000)
    starts = range(0, len(questions), CHUNK)
    jobs = [(f"{options.seed}-{i}", questions[i : i + CHUNK], answers[i : i + CHUNK]) for i in starts]
    job = partial(_label_chunk, strangers=strangers, tokenizer_file=str(_tokenizer_file(options)))
    return [group for part in corpus.run_jobs(job, jobs, options.workers) for group in part]


def label_held_out(options: argparse.Namespace, questions: list[Question], answers: list[list[str]]) -> list[Group]:
    """Returns labelled groups of model answers alone."""
    rng = Random(f"{options.seed}-held-out")
    groups = (reward_groups.group(rng, q, a, (), spoiled=0) for q, a in zip(questions, answers, strict=True))
    return [group for group in groups if group is not None]


def model_folder(options: argparse.Namespace, name: str) -> Path:
    """Returns where a model is: freshly trained in the output folder, else the packaged one."""
    fresh: Path = options.out / name
    return fresh if (fresh / "model.safetensors").exists() else nano.path(name)


def _load(folder: Path, device: str) -> Any:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).to(device)


def _tokens_per_step(options: argparse.Namespace) -> int:
    return 32_768 if options.device == "cuda" else 4_096


def _tokenizer_file(options: argparse.Namespace) -> Path:
    file: Path = options.work / "tokenizer.json"  # of the models that were trained with this folder
    return file if file.exists() else model_folder(options, "generator") / "tokenizer.json"


def _label_chunk(
    job: tuple[str, list[Question], list[list[str]]], strangers: list[str], tokenizer_file: str
) -> list[Flat]:
    seed, questions, answers = job
    rng, tokenizer, found = Random(seed), Tokenizer.from_file(tokenizer_file), list[Any]()
    for question, texts in zip(questions, answers, strict=True):
        group = reward_groups.group(rng, question, texts, strangers)
        if group is not None:
            ids = ranking.encode_texts(tokenizer, group.question, [a.text for a in group.answers])
            kept = [(i, a.worth) for i, a in zip(ids, group.answers, strict=True) if len(i) <= ranking.LONGEST]
            flat = np.fromiter((i for text, _ in kept for i in text), dtype=np.uint16)
            found.append((flat, [len(text) for text, _ in kept], [int(worth) for _, worth in kept]))
    return found
