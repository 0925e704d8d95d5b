"""What every engine must do, asked of the chain model (see `chain_model`), whose answers are known.

Plain functions without pytest, so that a script on a GPU host can run the same ones. An engine that says in its
capabilities that it cannot do something is not asked for it, and `CHECKS` is all there is.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chain_model import TEXT

from synthetic_instruction_tuner.engines.base import Completion, Engine, Request

LETTERS = string.ascii_lowercase


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine that runs the chain model, with the model's tokenizer and the number of mixed requests to ask."""

    engine: Engine
    tokenizer: Any
    mixed: int = 1000

    def request(self, prompt: str, **settings: Any) -> Request:
        """Returns a request that ends at the end of the turn, greedy unless said otherwise."""
        ids = (self.tokenizer.bos_token_id, *self.ids(prompt))
        given = {"seed": 0, "max_new_tokens": 40, "stop_ids": (self.tokenizer.eos_token_id,), "temperature": 0.0}
        return Request(ids, **given | settings)

    def ask(self, *requests: Request) -> list[Completion]:
        """Returns the completions."""
        return self.engine.generate(list(requests))

    def ids(self, text: str) -> tuple[int, ...]:
        """Returns a text's token ids."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def text(self, completion: Completion) -> str:
        """Returns a completion's text."""
        return str(self.tokenizer.decode(list(completion.token_ids), skip_special_tokens=False))


def letters_after(letter: str, count: int) -> str:
    """Returns what the model writes after a letter, or after anything that is in no chain."""
    start = LETTERS.index(letter) + 1 if letter in LETTERS else 0
    return "".join(LETTERS[(start + k) % 26] for k in range(count))


def limits(s: Subject) -> None:
    """A text has exactly as many tokens as allowed when nothing ends it."""
    counts = (1, 2, 3, 26, 27, 100)
    for count, got in zip(counts, s.ask(*(s.request("x a", max_new_tokens=c) for c in counts)), strict=True):
        assert (s.text(got), got.finish_reason) == (letters_after("a", count), "length"), (count, got)


def ends(s: Subject) -> None:
    """The end of the turn ends a text and is no part of it, also when it is the very last token allowed."""
    for limit, reason in ((40, "stop"), (len(s.ids(TEXT)) + 1, "stop"), (len(s.ids(TEXT)), "length")):
        (got,) = s.ask(s.request("U", max_new_tokens=limit))
        assert s.text(got) == TEXT and got.token_ids == s.ids(TEXT), got
        # Some servers that hand out texts call every text that fills the limit cut off.
        assert got.finish_reason == reason or (limit < 40 and not s.engine.capabilities.exact_ids), (limit, got)


def empty(s: Subject) -> None:
    """A text may be empty, and the others around it are not touched."""
    got = s.ask(s.request("E"), s.request("a", max_new_tokens=3), s.request("E", max_new_tokens=2))
    assert [s.text(c) for c in got] == ["", "bcd", ""], got
    assert [c.finish_reason for c in got] == ["stop", "length", "stop"], got
    assert s.ask() == []


def stop_ids(s: Subject) -> None:
    """Any token can end a text; each request has its own."""
    if not s.engine.capabilities.exact_stops:
        return
    end = s.tokenizer.eos_token_id
    asked = [s.request("a", stop_ids=(end, *s.ids(stop))) for stop in ("b", "f", "zg", "g", "")]
    got = s.ask(*asked)
    assert [s.text(c) for c in got] == ["", "bcde", "bcdef", "bcdef", letters_after("a", 40)], got
    assert [c.finish_reason for c in got] == ["stop"] * 4 + ["length"], got
    if not s.engine.capabilities.exact_ids:
        return
    inside, never = s.ask(s.request("U", stop_ids=s.ids(TEXT)[3:4]), s.request("U", stop_ids=(), max_new_tokens=12))
    assert (s.text(inside), inside.finish_reason) == (TEXT[0], "stop"), inside
    if never.finish_reason == "length":  # not even the end of the turn ends a text that is not to be ended by it
        assert end in never.token_ids and len(never.token_ids) == 12, never
    else:  # llama.cpp ends there whatever is asked
        assert s.text(replace(never, token_ids=never.token_ids[: len(s.ids(TEXT))])) == TEXT, never


def unicode(s: Subject) -> None:
    """Characters that are spread over several tokens survive, in prompts and in answers, also when cut in between."""
    prompt = s.request("Füße 日本語 👩‍👩‍👧 \u2028\u0000\t U")
    cut = replace(s.request("日本U"), max_new_tokens=4)
    whole, part = s.ask(prompt, cut)
    assert s.text(whole) == TEXT
    assert s.text(part).startswith(TEXT[0]) and part.finish_reason == "length", part


def seeds(s: Subject) -> None:
    """Draws come from the request's own seed, and follow the distribution that was asked for."""
    draws = [s.request("D", seed=k, max_new_tokens=50, temperature=1.0) for k in range(8)]
    first = s.ask(*draws)
    drawn = Counter("".join(s.text(c) for c in first))
    assert 140 <= drawn["0"] <= 260 and 50 <= drawn["1"] <= 150, drawn  # of 400: 200 +- 10 and 100 +- 9
    assert len({s.text(c) for c in first}) == len(first)
    narrow = s.ask(*(replace(r, top_p=0.7) for r in draws))
    assert set("".join(s.text(c) for c in narrow)) == {"0", "1"}, narrow
    cold = s.ask(*(replace(r, temperature=0.1) for r in draws))
    assert Counter("".join(s.text(c) for c in cold))["0"] >= 380  # 1023 to 1
    if s.engine.capabilities.seeded:
        assert s.ask(draws[3]) == s.ask(draws[3])
        assert s.ask(*draws) == first
    if s.engine.capabilities.batch_free:
        assert [s.ask(r)[0] for r in draws] == first
        assert s.ask(*reversed(draws)) == list(reversed(first))


def mixed(s: Subject) -> None:
    """Many requests of all kinds at once: each gets its own answer, in order, and each is counted once."""
    rng = random.Random(0)
    asked, expected = [], []
    for number in range(s.mixed):
        kind, count = rng.choice("aUED?"), rng.randint(1, 6)
        filler = "".join(rng.choice("xyz é日") for _ in range(rng.choice((0, 1, 7, 60))))
        settings = {"temperature": 1.0 if kind == "D" else 0.0, "top_p": rng.choice((0.9, 1.0))}
        asked.append(s.request(filler + kind, seed=number, max_new_tokens=count, **settings))
        if kind == "U":
            expected.append(s.text(Completion(s.ids(TEXT)[:count], "length")))
        else:
            expected.append({"E": "", "D": None}.get(kind, letters_after(kind, count)))
    seen: list[int] = []
    got = s.engine.generate(asked, seen.append)
    assert sum(seen) == len(asked) == len(got)
    for request, wanted, completion in zip(asked, expected, got, strict=True):
        assert completion.finish_reason in ("stop", "length"), completion
        assert len(completion.token_ids) <= max(request.max_new_tokens, 3 * request.max_new_tokens * (wanted is None))
        if wanted is None:
            assert set(s.text(completion)) <= set(string.digits) and len(completion.token_ids) == request.max_new_tokens
        elif "\ufffd" not in wanted:  # a text that ends within a character comes back from some servers without it
            assert s.text(completion) == wanted, (request, completion)


def errors(s: Subject) -> None:
    """A request that cannot be served is told from the others, which are."""
    good = s.request("a", max_new_tokens=2)
    bad = [replace(good, prompt_ids=()), replace(good, prompt_ids=(10**6,)), replace(good, max_new_tokens=0)]
    seen: list[int] = []
    got = s.engine.generate([bad[0], good, bad[1], good, bad[2]], seen.append)
    assert [c.finish_reason for c in got] == ["error", "length", "error", "length", "error"], got
    assert all(c.error and not c.token_ids for c in got[::2]) and sum(seen) == 5
    assert [s.text(c) for c in got[1::2]] == ["bc", "bc"]


def scores(s: Subject) -> None:
    """Log-probabilities are those of the model, and greedy is greedy."""
    if not s.engine.capabilities.scores:
        return
    bos = s.tokenizer.bos_token_id
    pairs = [("a", "b"), ("a", "bcd"), ("a", "c"), ("D", "0"), ("D", "1"), ("D", "01"), ("D", "")]
    wanted = [(0, True), (0, True), (-30, False), (-0.693, True), (-1.386, False), (-2.079, False), (0, True)]
    got = s.engine.loglikelihood([((bos, *s.ids(c)), s.ids(w)) for c, w in pairs])
    for (value, greedy), (sure, likely) in zip(got, wanted, strict=True):
        assert abs(value - sure) < 0.3 and greedy == likely, got


CHECKS: tuple[Callable[[Subject], None], ...] = (
    limits, ends, empty, stop_ids, unicode, seeds, mixed, errors, scores
)  # fmt: skip
