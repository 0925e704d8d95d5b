"""Measures how well contamination is found: items injected into records, and clean data that should stay.

    python benchmarks/contamination.py ../shared/data

The folder contains the benchmarks ifeval, mmlu, mt_bench and agentbench and the clean datasets gsm8k and gpteacher in
subfolders. Items are injected verbatim, with a sentence before, after, or both, and lightly edited: one word in twenty
or in ten, and at least one, is replaced, deleted, or inserted beside another. MMLU questions are also injected with
their options.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from synthetic_instruction_tuner.config import ContaminationConfig
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import load_benchmarks
from synthetic_instruction_tuner.filtering.contamination.matching import LONG
from synthetic_instruction_tuner.filtering.contamination.rule import Contamination
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import words_of

BEFORE = (
    "Could you help me with the following? I am stuck on it.",
    "Here is a task from my course:",
    "Please answer carefully.",
    "I found this in an old notebook and wonder what you say.",
)
AFTER = ("Thanks a lot for your help!", "Explain your reasoning step by step.", "Keep it short, please.")
OTHER = "quick brown useful seven paper window often perhaps garden simple people second river large music".split()  # noqa: SIM905


def main(folder: Path) -> None:
    names = ("ifeval", "mmlu", "mt_bench", "agentbench")
    sets = load_benchmarks(ContaminationConfig(benchmarks=names, folder=str(folder)))
    start = time.process_time()
    rule = Contamination(sets)
    print(f"{sum(len(s.items) for s in sets):,} items indexed in {time.process_time() - start:.1f} CPU seconds\n")
    print("Recall\n\n| benchmark | items of | n | " + " | ".join(FORMS) + " |\n|---|---|---:|" + "---:|" * len(FORMS))
    for some in sets:
        for title, items in by_length(some.items).items():
            if items:
                rates = recall(rule, BenchmarkSet(some.name, items))
                cells = [f"{rates[f][0] / rates[f][1]:.2%}" if f in rates else "" for f in FORMS]
                print(f"| {some.name} | {title} | {len(items):,} | {' | '.join(cells)} |")
    everything = BenchmarkSet("all", tuple(item for some in sets for item in some.items))
    rates = recall(rule, everything)
    cells = [f"{rates[f][0] / rates[f][1]:.2%}" for f in FORMS]
    print(f"| all | any length | {len(everything.items):,} | {' | '.join(cells)} |")
    print("\nClean data\n\n| set | records | flagged | share | CPU seconds |\n|---|---:|---:|---:|---:|")
    for name, records in clean_sets(folder).items():
        start = time.process_time()
        hits = [hit for record in records if (hit := rule.signal(record))]
        spent = time.process_time() - start
        print(f"| {name} | {len(records):,} | {len(hits)} | {len(hits) / len(records):.3%} | {spent:.1f} |")
        for hit in hits[:10]:
            print(f"  {hit[0]}", file=sys.stderr)


FORMS = ("verbatim", "prefixed", "suffixed", "both", "edited 5%", "edited 10%", "with options", "options, edited")


def by_length(items: tuple[BenchmarkItem, ...]) -> dict[str, tuple[BenchmarkItem, ...]]:
    long = tuple(item for item in items if len(words_of(item.text)) >= LONG)
    return {f"{LONG}+ words": long, f"under {LONG}": tuple(item for item in items if item not in set(long))}


def recall(rule: Contamination, some: BenchmarkSet, seed: int = 1) -> dict[str, tuple[int, int]]:
    """Returns by form how many injected items were found, of how many."""
    rng, counts = random.Random(seed), dict[str, list[int]]()
    for item in some.items:
        for form, text in injected(item, rng).items():
            count = counts.setdefault(form, [0, 0])
            count[0] += bool(rule.signal(Record("r", text, "")))
            count[1] += 1
    return {form: (hits, count) for form, (hits, count) in counts.items()}


def injected(item: BenchmarkItem, rng: random.Random) -> dict[str, str]:
    """Returns the texts of an item in every form."""
    text, before, after = item.text, rng.choice(BEFORE), rng.choice(AFTER)
    forms = {
        "verbatim": text,
        "prefixed": f"{before} {text}",
        "suffixed": f"{text} {after}",
        "both": f"{before}\n\n{text}\n\n{after}",
        "edited 5%": edited(text, 0.05, rng),
        "edited 10%": edited(text, 0.1, rng),
    }
    if item.options:
        options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCDEFGH", item.options, strict=False))
        forms["with options"] = f"{before}\n{text}\n{options}\nAnswer:"
        forms["options, edited"] = f"{edited(text, 0.1, rng)}\n{options}"
    return forms


def edited(text: str, share: float, rng: random.Random) -> str:
    """Returns the text with a share of its words, at least one, replaced, left out, or with another beside them."""
    words = text.split()
    count = max(1, round(share * len(words)))
    for place in sorted(rng.sample(range(len(words)), min(count, len(words))), reverse=True):
        words[place : place + 1] = rng.choice(([rng.choice(OTHER)], [], [rng.choice(OTHER), words[place]]))
    return " ".join(words)


def clean_sets(folder: Path) -> dict[str, list[Record]]:
    """Returns real records that no benchmark was made from."""
    math = [json.loads(line) for line in (folder / "gsm8k" / "train.jsonl").read_text().splitlines()]
    code = json.loads((folder / "gpteacher" / "codegen-instruct.json").read_text())
    return {
        "gsm8k": [Record(f"g{i}", row["question"], row["answer"]) for i, row in enumerate(math)],
        "gpteacher": [Record(f"c{i}", f"{r['instruction']}\n{r['input']}", r["response"]) for i, r in enumerate(code)],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
