"""Measures the nano models: ``python -m synthetic_instruction_tuner.nano.training.measure [--models DIR] [--out DIR]``.

Prints the table of the model card, and writes it as ``quality.md`` and ``quality.json``. The nano world's checker
scores the answers; instructions come from the split that no model was trained on, and from the generator itself.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.reward import groups as reward_groups
from synthetic_instruction_tuner.nano.training.reward.groups import Question, Worth
from synthetic_instruction_tuner.nano.world import checking, mixture
from synthetic_instruction_tuner.records import Message

Share = dict[str, float]
FLAWED = {family.name for family in mixture.FLAWED}
MAX_ANSWER, MAX_INSTRUCTION = 200, 120  # tokens
SIMILAR = 0.8  # word-set overlap (Jaccard) from which two instructions are near duplicates


@dataclass(frozen=True)
class Bench:
    """Where the models are and how much is measured."""

    models: Path | None
    device: str
    items: int
    magpie: int
    batch: int
    seed: int

    def folder(self, name: str) -> Path:
        """Returns a model's folder."""
        return self.models / name if self.models else nano.path(name)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The shared tokenizer."""
        return Tokenizer.from_file(str(self.folder("generator") / "tokenizer.json"))

    @cached_property
    def questions(self) -> list[Question]:
        """Held-out questions, except those that are meant to be answered badly."""
        return reward_groups.questions(f"{self.seed}-measure", "eval", self.items)

    def model(self, name: str) -> Any:
        """Returns a loaded language model."""
        from synthetic_instruction_tuner.nano.training.sampling import load_model

        return load_model(self.folder(name), self.device)

    def write(self, name: str, prompts: Sequence[str], temperature: float, limit: int) -> list[str]:
        """Returns a model's continuations of rendered prompts.

        Each model and temperature has its own draws; with shared ones, similar models would write the same answers.
        """
        from synthetic_instruction_tuner.nano.training.sampling import sample

        seed = zlib.crc32(f"{self.seed}/{name}/{temperature:g}".encode())
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(prompts))]
        found = sample(
            self.model(name), ids, temperature=temperature, seed=seed, max_new_tokens=limit, batch=self.batch
        )
        return list(self.tokenizer.decode_batch([tokens for tokens, _ in found]))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m synthetic_instruction_tuner.nano.training.measure", description=__doc__
    )
    parser.add_argument("--models", type=Path, help="folder of the models' folders (default: the packaged ones)")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for quality.md and quality.json")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--items", type=int, default=1200, help="held-out questions per model and temperature")
    parser.add_argument("--magpie", type=int, default=4000, help="instructions that the generator writes")
    parser.add_argument("--batch", type=int, default=0, help="prompts at once (default: 128 on a CPU, 4096 on a GPU)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = options.batch or (4096 if device == "cuda" else 128)
    bench = Bench(options.models, device, options.items, options.magpie, batch, options.seed)
    result = measure(bench)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "quality.json").write_text(json.dumps(result, indent=1))
    (options.out / "quality.md").write_text(markdown(result))
    print(markdown(result))
    return 0


def measure(bench: Bench) -> dict[str, Any]:
    """Returns all measurements of the models that exist, as plain JSON values."""
    began = time.perf_counter()
    result: dict[str, Any] = {"seed": bench.seed, "device": bench.device, "chat": {}, "base": {}}
    for name in nano.NAMES:
        if name == "reward" or not (bench.folder(name) / "model.safetensors").exists():
            continue
        kind = "base" if name in nano.STUDENTS else "chat"
        parameters = sum(p.numel() for p in bench.model(name).parameters())
        result[kind][name] = {"parameters": parameters, **held_out(bench, name)}
        if name == "generator":
            result["magpie"] = magpie(bench, name)
        print(f"[measure] {name}: {time.perf_counter() - began:.0f} s so far", flush=True)
    if (bench.folder("reward") / "model.safetensors").exists():
        result["reward"] = reward_accuracy(bench)
    return result | {"seconds": round(time.perf_counter() - began, 1)}


def held_out(bench: Bench, name: str) -> dict[str, Any]:
    """Returns the model's shares of right, and of right and clean, answers to held-out questions.

    Keys: ``T=0`` and ``T=0.7``, each with ``right``, ``clean`` (right and without a sloppy remark) and, for greedy
    decoding, ``families``.
    """
    prompts = [tok.render(question.messages, add_generation_prompt=True) for question in bench.questions]
    found: dict[str, Any] = {}
    for temperature in (0.0, 0.7):
        answers = bench.write(name, prompts, temperature, MAX_ANSWER)
        worths = [reward_groups.worth(q, a) or Worth.WRONG for q, a in zip(bench.questions, answers, strict=True)]
        families: dict[str, list[bool]] = defaultdict(list)
        for question, worth in zip(bench.questions, worths, strict=True):
            families[question.family].append(worth.right)
        found[f"T={temperature:g}"] = {
            "right": share(worth.right for worth in worths),
            "clean": share(worth is Worth.RIGHT for worth in worths),
            "families": {family: share(values) for family, values in sorted(families.items())},
        }
    return found


def magpie(bench: Bench, name: str) -> dict[str, Any]:
    """Returns how good the generator's own data is: instructions at T=1, answers at T=0.7."""
    written = bench.write(name, [f"{tok.BOS}{tok.USER}"] * bench.magpie, 1.0, MAX_INSTRUCTION)
    prompts = [tok.render([Message("user", text)], add_generation_prompt=True) for text in written]
    answers = bench.write(name, prompts, 0.7, MAX_ANSWER)
    verdicts = [
        checking.check([Message("user", instruction), Message("assistant", answer)])
        for instruction, answer in zip(written, answers, strict=True)
    ]
    known = [verdict for verdict in verdicts if verdict is not None]
    plain = [verdict for verdict in known if verdict.family not in FLAWED]
    repeated = near_duplicates(written)
    reasons = drops(answers, verdicts, repeated)
    dropped = Counter(reason for reason in reasons if reason)
    kept = [verdict for verdict, reason in zip(verdicts, reasons, strict=True) if reason is None]
    return {
        "well_formed": share(verdict is not None for verdict in verdicts),
        "right": share(verdict.right for verdict in plain),
        "marked": share(not verdict.clean for verdict in plain),
        "flaw_families": share(verdict.family in FLAWED for verdict in known),
        "near_duplicates": share(repeated),
        "short_answers_outside_flaws": share(
            len(answer.split()) < 20
            for answer, verdict in zip(answers, verdicts, strict=True)
            if verdict is not None and verdict.family not in FLAWED
        ),
        "drops": {name: share([True] * n + [False] * (len(written) - n)) for name, n in sorted(dropped.items())},
        "kept": share([True] * len(kept) + [False] * (len(written) - len(kept))),
        "right_among_kept": share(v is not None and v.right for v in kept),
        "families": dict(Counter(verdict.family for verdict in known).most_common()),
    }


def drops(answers: Sequence[str], verdicts: Sequence[Any], repeated: Sequence[bool]) -> list[str | None]:
    """Returns roughly why a filter would drop each pair, judged by the nano world alone.

    Refusals and other languages are known from the instruction's family; shortness and loops are measured on the
    answer; `repeated` finds the near duplicates.
    """
    kinds = {family.name: family.kind for family in mixture.FLAWED}
    found: list[str | None] = []
    for answer, verdict, duplicate in zip(answers, verdicts, repeated, strict=True):
        words = answer.split()
        kind = kinds.get(verdict.family) if verdict else None
        if len(words) < 20:
            found.append("short")
        elif kind in ("refusal", "language"):
            found.append(kind)
        elif len(words) >= 12 and len({*zip(words, words[1:], words[2:], strict=False)}) < 0.5 * (len(words) - 2):
            found.append("loop")
        else:
            found.append("near_duplicate" if duplicate else None)
    return found


def near_duplicates(texts: Sequence[str]) -> list[bool]:
    """Returns for each text whether an earlier one shares `SIMILAR` of their words."""
    earlier: list[frozenset[str]] = []
    found = []
    for text in texts:
        words = frozenset(text.lower().split())
        found.append(any(len(words & other) >= SIMILAR * len(words | other) for other in earlier))
        earlier.append(words)
    return found


def reward_accuracy(bench: Bench) -> dict[str, Any]:
    """Returns how often the reward model ranks two model answers to a held-out question correctly, by kind of pair.

    Besides the kinds of `ranking.pair_accuracy`, ``responders`` is all pairs of the responders' answers alone, the
    ones that it ranks in a run. The generator's answers are nearly all right, and its mistakes are hard to see.
    """
    from transformers import AutoModelForSequenceClassification

    from synthetic_instruction_tuner.nano.training.reward import ranking

    prompts = [tok.render(question.messages, add_generation_prompt=True) for question in bench.questions]
    answers: dict[str, list[list[str]]] = {"generator": [[] for _ in prompts], "responders": [[] for _ in prompts]}
    for name, temperature, _ in reward_groups.SAMPLES:
        if (bench.folder(name) / "model.safetensors").exists():
            written = bench.write(name, prompts, temperature, MAX_ANSWER)
            for texts, text in zip(answers["generator" if name == "generator" else "responders"], written, strict=True):
                texts.append(text)
    model = AutoModelForSequenceClassification.from_pretrained(bench.folder("reward")).float().to(bench.device).eval()

    def accuracy(texts: Iterable[list[str]]) -> dict[str, Any]:
        rng = Random(bench.seed)
        groups = [reward_groups.group(rng, q, t, (), spoiled=0) for q, t in zip(bench.questions, texts, strict=True)]
        return ranking.test(model, bench.tokenizer, [group for group in groups if group is not None])

    everyone = [a + b for a, b in zip(answers["responders"], answers["generator"], strict=True)]
    return accuracy(everyone) | {"responders": accuracy(answers["responders"]).get("all", share([]))}


def share(found: Iterable[bool]) -> Share:
    """Returns the share of true values, its binomial standard error and n."""
    values = list(found)
    n = len(values)
    p = sum(values) / max(1, n)
    return {"share": round(p, 4), "se": round((p * (1 - p) / max(1, n)) ** 0.5, 4), "n": n}


def markdown(result: dict[str, Any]) -> str:
    """Returns the measurements as Markdown tables: percent, standard error in brackets, and n."""
    lines = [
        "| model | parameters | right, T=0 | right, T=0.7 | right and clean, T=0.7 | n |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in {**result["chat"], **result["base"]}.items():
        cold, warm = row["T=0"], row["T=0.7"]
        cells = [_percent(cold["right"]), _percent(warm["right"]), _percent(warm["clean"]), str(warm["right"]["n"])]
        lines.append(f"| {name} | {row['parameters'] / 1e6:.2f}M | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Held-out questions, checkers of the nano world, standard errors in brackets, seed {result['seed']}.",
    ]
    if "magpie" in result:
        lines += ["", "| what the generator writes by itself | share | n |", "|---|---|---|"]
        for name, value in result["magpie"].items():
            if name == "drops":
                lines += [
                    f"| dropped: {kind.replace('_', ' ')} | {_percent(s)} | {s['n']} |" for kind, s in value.items()
                ]
            elif name != "families":
                lines.append(f"| {name.replace('_', ' ')} | {_percent(value)} | {value['n']} |")
    if "reward" in result:
        lines += ["", "| pairs of model answers ranked rightly | share | n |", "|---|---|---|"]
        for name in ("all", "wrong_vs_right", "sloppy_vs_clean", "sloppy_vs_clean_wrong", "responders"):
            if name in result["reward"]:
                value = result["reward"][name]
                lines.append(f"| {name.replace('_', ' ')} | {_percent(value)} | {value['n']} |")
        lines += [
            "",
            "The reward model reads `tokenizer(question, answer)`; the question is the whole prompt, its turns ",
        ]
        lines[-1] += "(system prompt included) joined by newlines: `records.question_text`."
    return "\n".join(lines) + "\n"


def _percent(value: Share) -> str:
    return f"{100 * value['share']:.1f} ({100 * value['se']:.1f})"


if __name__ == "__main__":
    raise SystemExit(main())
