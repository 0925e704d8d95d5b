"""Files of a benchmark that are downloaded one by one, since no data set on the Hub holds all of them.

Each file has several addresses and one hash: whichever address answers first with these bytes will do. An answer with
other bytes, such as a page that asks to log in, is never kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file

GITHUB = "https://raw.githubusercontent.com"
FASTCHAT = f"{GITHUB}/lm-sys/FastChat/main/fastchat/llm_judge/data"
SPACE = "https://huggingface.co/spaces/lmsys/mt-bench/resolve/main/data"
CORRECTED = "mt_bench/reference_answer/gpt-4-0125-preview.jsonl"
CONNECT, READ = 10, 60  # seconds
LARGEST = 2**23  # bytes that are read of an answer; the largest file has a twentieth of that
UNREACHABLE = "cannot be reached"


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file.

    Attributes:
        name: its path in the benchmark's folder.
        sha256: of its bytes.
        addresses: where it is published, in the order to ask.
        needed: whether the benchmark cannot do without it.
    """

    name: str
    sha256: str
    addresses: tuple[str, ...]
    needed: bool = True


def _answers(model: str, sha256: str) -> WebFile:
    name = f"model_answer/{model}.jsonl"
    return WebFile(name, sha256, (f"{SPACE}/mt_bench/{name}", f"{FASTCHAT}/mt_bench/{name}"), needed=False)


MT_BENCH = (
    WebFile(
        "question.jsonl",
        "119565adbab82227089cefdb44c8d7e2cf04dc0a0ec233634c82e7d4e2a944f7",
        (f"{FASTCHAT}/mt_bench/question.jsonl", f"{SPACE}/mt_bench/question.jsonl"),
    ),
    WebFile(
        "judge_prompts.jsonl",
        "fd283293406d024f44c174b094ef48031d0687a4682fd3a56b29b138f80281b6",
        (f"{FASTCHAT}/judge_prompts.jsonl", f"{SPACE}/judge_prompts.jsonl"),
    ),
    WebFile(
        "reference_answer/gpt-4.jsonl",
        "f957a5bc977badb66885ec970e6cd08527845780313f0995764260e5777b9b3f",
        (f"{FASTCHAT}/mt_bench/reference_answer/gpt-4.jsonl", f"{SPACE}/mt_bench/reference_answer/gpt-4.jsonl"),
    ),
    WebFile(
        "reference_answer/gpt-4-0125-preview.jsonl",
        "e484037da5cc14007dde1d821ef76046fccbd0b2f095237fad9ead2c4fc66800",
        (
            f"{GITHUB}/lm-sys/FastChat/refs/pull/3158/head/fastchat/llm_judge/data/{CORRECTED}",
            f"{GITHUB}/alvarobartt/FastChat/b25947e5/fastchat/llm_judge/data/{CORRECTED}",
        ),
    ),
    _answers("gpt-4", "f65cdce00aa8567e9add118cabd34c2866291ed8f5c1d568f8da9a81d231d3e7"),
    _answers("vicuna-13b-v1.3", "0a9bb7f7505d096e32b8a81f89b322cc09bb76d896484150844ce0787cc4caf5"),
    _answers("rwkv-4-raven-14b", "7f5305dec94c457feaf326d28491c1aedfdd66965044c1b3f654699cebcb5071"),
    _answers("stablelm-tuned-alpha-7b", "d8f0cbb4e3292e65e6425a717644fad155d11b8feb73ee9620cd0fecfc808016"),
)
"""MT-Bench's files as lm-sys/FastChat has them (commit 0e6d3e4b), the corrected references of its pull request 3158
(alvarobartt/FastChat, commit b25947e5), and the answers of four models, by which a judge is checked."""


def kept_in(name: str) -> Path:
    """Returns the folder in which a benchmark's downloaded files are kept: beside the Hub's own in its cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / "benchmark-files" / name


def lacks(name: str, files: tuple[WebFile, ...]) -> list[str]:
    """Returns the names of the needed files that have not been downloaded."""
    return [file.name for file in files if file.needed and not (kept_in(name) / file.name).is_file()]


def fetch_files(name: str, files: tuple[WebFile, ...]) -> str:
    """Downloads the files that are not there yet; returns why needed ones are missing, or an empty text.

    One that is not needed and does not come is left out: what reads it says what it does without.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    problems: dict[str, list[str]] = {}
    unreachable: set[str] = set()
    for file in files:
        place = kept_in(name) / file.name
        if place.is_file():
            continue
        content, problem = _fetched(file, unreachable)
        if content:
            with atomic_file(place) as stream:
                stream.write(content)
        elif file.needed:
            problems.setdefault(problem, []).append(file.name)
    return "; ".join(f"{', '.join(names)}: {problem}" for problem, names in problems.items())


def _fetched(file: WebFile, unreachable: set[str]) -> tuple[bytes, str]:
    """Returns a file's bytes, or why no address gave them; servers that do not answer are asked once in all."""
    from huggingface_hub import constants

    problems = []
    for address in file.addresses:
        address = address.replace("https://huggingface.co", constants.ENDPOINT)
        server = urlsplit(address).netloc
        if server not in unreachable:
            content, problem = _asked(address)
            if content and hashlib.sha256(content).hexdigest() == file.sha256:
                return content, ""
            if problem == UNREACHABLE:
                unreachable.add(server)
        problems.append(f"{server} {UNREACHABLE if server in unreachable else problem or 'has another version of it'}")
    return b"", ", ".join(dict.fromkeys(problems))


def _asked(address: str) -> tuple[bytes, str]:
    """Returns what a server sends, or what is wrong with it."""
    import requests

    content = b""
    try:
        with requests.get(address, timeout=(CONNECT, READ), stream=True) as answer:
            if not answer.ok:
                return b"", f"answers with {answer.status_code}"
            for part in answer.iter_content(2**16):
                content += part
                if len(content) > LARGEST:
                    break
    except requests.exceptions.RequestException:
        return b"", UNREACHABLE
    return content, ""
