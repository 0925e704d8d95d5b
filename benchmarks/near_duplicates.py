"""Compares the speed and exactness of near-duplicate removal with datasketch's MinHashLSH.

    python benchmarks/near_duplicates.py [--data FOLDER] [--records 5000 50000 200000] [--rival PYTHON] [--million]

Both get the same texts in one list and decide on them in order, each in a separate process. A record is dropped if its
word set has a Jaccard similarity of 0.8 or more to that of an earlier kept record. datasketch is used as its
documentation shows: 128 permutations, `MinHashLSH(threshold=0.8)`, `query`, then `insert` if nothing was found. It runs
without a check of the candidates (`datasketch`) and with one (`+ verified`), as its maintainers advise. It need not be
installed in this environment: --rival names the Python of another environment that has it.

The records are made from real texts: all texts of at least 40 characters in the JSON, JSON lines and CSV files under
--data (instructions, questions, answers), split into sentences. Of the records, 65% are 2 to 8 sentences drawn from all
texts, 10% are a whole real text, and 25% are an earlier record with 2% to 25% of its words deleted or replaced by other
real words. The seed is fixed. --sentences MIN MAX changes the number of sentences.

"missed" counts records that stayed although they are similar to an earlier kept record. "false" counts records that
were dropped although they are similar to no kept record. Both are counted exactly: with our index, which tests compare
with all pairs, and within a batch by all pairs.

--million also runs `sit dedup` on a file of 1,000,000 such records, as a user would.

datasketch compares words alone: where only symbols that carry meaning differ, what it drops is "false".

Measured on two cores that were shared with other work, about four processes for each core (Python 3.11, numpy 2.4,
datasketch 2.0), which costs CPU time too; the last three columns do not depend on it.

    35,262 real texts, 97,011 different sentences
      records  way                       CPU s  wall s     GB      stay  missed  false
        5,000  sit                         0.8     2.9   0.10     4,468       0      0
        5,000  datasketch                  3.5    11.6   0.10     4,226      59    323
        5,000  datasketch + verified       3.2    10.7   0.13     4,313      60    231
       50,000  sit                         3.7    10.9   0.17    44,467       0      0
       50,000  datasketch                 29.7    93.5   0.26    42,299     645  3,050

Of alternating runs at a quieter moment, sit took 0.6 CPU s for 10,000 records, 3.0 for 50,000 and 15 for 200,000.

What the symbols cost, on a machine with nine processes for each core: 200,000 records took 15 to 21 CPU s, and before
there were symbols 19 to 21 (three alternating runs each); 1,000,000 took 129 CPU s and 1.28 GB, the list of the texts
included, and before 121 CPU s and 1.09 GB (one run each).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data"
THRESHOLD = 0.8
WORD = re.compile(r"\w+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--records", type=int, nargs="*", default=[5000, 50_000, 200_000])
    parser.add_argument("--rival", default=sys.executable)
    parser.add_argument("--sentences", type=int, nargs=2, default=[2, 8])
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        work(options.way, options.file)
        return
    if not options.data.is_dir():
        sys.exit(f"{options.data} is not there; name a folder of JSON, JSON lines or CSV files with --data")
    real = real_texts(options.data)
    parts = sentences(real)
    print(f"{len(real):,} real texts, {len(parts):,} different sentences")
    print(f"{'records':>9}  {'way':<23}{'CPU s':>8}{'wall s':>8}{'GB':>7}{'stay':>10}{'missed':>8}{'false':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for count in options.records:
            file = Path(folder) / f"{count}.json"
            texts = list(made_texts(count, real, parts, options.sentences))
            file.write_text(json.dumps(texts), encoding="utf-8")
            for way in ("sit", "datasketch", "datasketch + verified"):
                show(count, way, texts, run(way, file, sys.executable if way == "sit" else options.rival))
        if options.million:
            million(Path(folder), made_texts(1_000_000, real, parts, options.sentences))


def real_texts(folder: Path) -> list[str]:
    """Returns the different texts of 40 characters and more, in the order of files and rows."""
    found: list[str] = []
    for file in sorted(f for f in folder.rglob("*") if f.suffix in (".json", ".jsonl", ".csv")):
        content = file.read_text(encoding="utf-8")
        if file.suffix == ".csv":
            found += (cell for row in csv.reader(content.splitlines()) for cell in row)
        elif file.suffix == ".jsonl":
            found += (text for line in content.splitlines() if line.strip() for text in strings(json.loads(line)))
        else:
            found += strings(json.loads(content))
    return list(dict.fromkeys(text for text in found if len(text) >= 40))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(part)


def sentences(texts: list[str]) -> list[str]:
    """Returns the different sentences of three words and more."""
    found = (part.strip() for text in texts for part in re.split(r"(?<=[.!?])\s+|\n+", text))
    return list(dict.fromkeys(part for part in found if len(part.split()) >= 3))


def made_texts(count: int, real: list[str], parts: list[str], number: list[int]) -> Iterator[str]:
    """Yields texts made of real ones, as the top of this file says."""
    rng, words = random.Random(0), [word for part in parts for word in part.split()]
    made: list[str] = []
    for _ in range(count):
        kind = rng.random()
        if kind < 0.65 or not made:
            text = " ".join(rng.sample(parts, rng.randint(*number)))
        elif kind < 0.75:
            text = rng.choice(real)
        else:
            text = edited(rng.choice(made), rng, words)
        made.append(text)
        yield text


def edited(text: str, rng: random.Random, words: list[str]) -> str:
    share, new = rng.uniform(0.02, 0.25), []
    for word in text.split():
        chance = rng.random()
        if chance >= share:
            new.append(word)
        elif chance < share / 2:
            new.append(rng.choice(words))
    return " ".join(new)


def run(way: str, file: Path, python: str) -> dict[str, Any]:
    answer = file.with_suffix(".answer")
    done = measured([python, __file__, "--way", way, "--file", str(file)], answer)
    if done["code"]:
        sys.exit(f"{way}: {done['said'].splitlines()[-1]}; --rival can name another environment's Python")
    result: dict[str, Any] = done | json.loads(answer.read_text())
    return result


def measured(command: list[str], answer: Path) -> dict[str, Any]:
    """Runs a command whose output goes into a file; returns exit code, CPU s, peak GB and what it said on stderr.

    A process inherits the peak of the one that starts it, here that of the records: so a small one stands between.
    """
    between = [sys.executable, "-c", BETWEEN, str(answer), *command]
    done = subprocess.run(between, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) | {"said": done.stderr.strip()}


BETWEEN = """
import json, os, subprocess, sys
with open(sys.argv[1], "w") as answer:
    child = subprocess.Popen(sys.argv[2:], stdout=answer)
_, status, used = os.wait4(child.pid, 0)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
print(json.dumps({"code": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime, "memory": peak}))
"""


def show(count: int, way: str, texts: list[str], result: dict[str, Any]) -> None:
    missed, false = wrong(texts, result["stays"])
    figures = f"{result['cpu']:>8.1f}{result['wall']:>8.1f}{result['memory']:>7.2f}{sum(result['stays']):>10,}"
    print(f"{count:>9,}  {way:<23}{figures}{missed:>8,}{false:>7,}", flush=True)


def wrong(texts: list[str], stays: list[bool]) -> tuple[int, int]:
    """Returns how many records stayed, and how many were dropped, in error, given what stayed before them."""
    import numpy as np

    from synthetic_instruction_tuner.filtering.near_duplicates.index import NearDuplicateIndex
    from synthetic_instruction_tuner.filtering.near_duplicates.rule import exact_fraction

    index = NearDuplicateIndex(exact_fraction(THRESHOLD))
    missed = false = 0
    for start in range(0, len(texts), 256):
        stay = np.array(stays[start : start + 256])
        sets = index.sets(texts[start : start + 256])
        filled = np.flatnonzero(sets.sizes)
        sets, stay = sets.take(filled), stay[filled]
        similar = index.most_similar(sets).numbers >= 0
        words = [frozenset(part) for part in np.split(sets.words, np.cumsum(sets.sizes)[:-1])]
        symbols = sets.pieces
        for row in np.flatnonzero(~similar).tolist():  # and to one of the same batch?
            similar[row] = any(
                len(words[row] & words[i]) * 5 >= len(words[row] | words[i]) * 4
                and index.symbols_similar(symbols[row], symbols[i])
                for i in range(row)
                if stay[i]
            )
        missed += int((stay & similar).sum())
        false += int((~stay & ~similar).sum())
        index.add(sets.take(np.flatnonzero(stay)))
    return missed, false


def work(way: str, file: Path) -> None:
    """Decides, and prints what stays, and the time."""
    texts = json.loads(file.read_text(encoding="utf-8"))
    wall, cpu = time.perf_counter(), time.process_time()
    stays = by_us(texts) if way == "sit" else by_datasketch(texts, way.endswith("verified"))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "stays": stays}))


def by_us(texts: list[str]) -> list[bool]:
    from synthetic_instruction_tuner.filtering.near_duplicates.keep_first import KeepFirst
    from synthetic_instruction_tuner.filtering.near_duplicates.rule import exact_fraction

    rule = KeepFirst(exact_fraction(THRESHOLD))
    stays: list[bool] = []
    for start in range(0, len(texts), 4096):
        stays += rule.decide(texts[start : start + 4096]).stays.tolist()
    return stays


def by_datasketch(texts: list[str], verified: bool) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    lsh, sets, stays = MinHashLSH(threshold=THRESHOLD, num_perm=128), {}, []
    for number, text in enumerate(texts):
        words = set(WORD.findall(text.lower()))
        sketch = MinHash(num_perm=128)
        sketch.update_batch([word.encode("utf-8", "replace") for word in words])
        found = lsh.query(sketch)
        if verified:
            found = [k for k in found if len(words & sets[k]) * 5 >= len(words | sets[k]) * 4]
        stays.append(bool(words) and not found)
        if stays[-1]:
            lsh.insert(number, sketch, check_duplication=False)
            if verified:
                sets[number] = words
    return stays


def million(folder: Path, texts: Iterator[str]) -> None:
    """Runs `sit dedup` on a file of its own and prints what it took."""
    file = folder / "million.jsonl"
    with file.open("w", encoding="utf-8") as stream:
        for text in texts:
            stream.write(json.dumps({"instruction": text, "response": "-"}) + "\n")
    answer, start = folder / "answer.json", time.perf_counter()
    command = [sys.executable, "-m", "synthetic_instruction_tuner", "dedup", str(file), "-o", str(folder / "out")]
    done = measured([*command, "--json"], answer)
    if done["code"]:
        sys.exit(f"sit dedup ended with {done['code']}: {done['said']}")
    wall, kept = time.perf_counter() - start, json.loads(answer.read_text())["kept"]
    figures = f"{done['cpu']:.0f} CPU s, {wall:.0f} s, {done['memory']:.2f} GB"
    print(f"sit dedup, 1,000,000 records: {figures}, {kept:,} stay", flush=True)


if __name__ == "__main__":
    main()
