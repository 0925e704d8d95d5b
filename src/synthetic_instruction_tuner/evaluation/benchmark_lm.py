"""A model as the benchmarks ask it: greedy answers, likelihoods of options, and nothing asked twice.

Plain text begins as the tokenizer says, and a text that is longer than the model was made for loses its beginning: both
are what the harness' own Hugging Face model does, so that numbers are the same.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Protocol

from lm_eval.api.instance import Instance

from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request
from synthetic_instruction_tuner.evaluation.benchmarks.text_seams import tokens_behind, tokens_of_all
from synthetic_instruction_tuner.evaluation.harness import EngineLM

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

CHUNK = 64  # contexts whose continuations are scored between commits
HARNESS_CHUNK = 1024  # continuations that the harness asks for, scored between commits
PORTION = 128  # texts between commits, of an engine that returns them all at once


class Memory(Protocol):
    """Keeps answers by a hash of what was asked, so that an interrupted benchmark goes on; see `run.store`."""

    def find(self, key: str) -> Any:
        """Returns an answer as plain JSON values, or None."""

    def add(self, key: str, value: Any, count: int = 1) -> None:
        """Takes an answer, or `count` of them under one key."""

    def save(self) -> None:
        """Makes sure that what was added outlives this process."""


class BenchmarkLM(EngineLM):
    """See `EngineLM`.

    Args:
        engine, template, tokenizer: as there.
        untuned: whether this is a base model.
        memory: keeps answers until the benchmark is done; without one, an interrupted benchmark begins again.
        done: is called with the number of answers that have just come.

    Attributes:
        n_cut: contexts that were too long for the model to be read whole, so far.
    """

    def __init__(
        self,
        engine: Engine,
        template: ChatTemplate,
        tokenizer: Any,
        *,
        untuned: bool = False,
        memory: Memory | None = None,
        done: Done | None = None,
    ) -> None:
        super().__init__(engine, template, tokenizer)
        self.untuned, self.memory, self._done = untuned, memory, done or (lambda n: None)
        self.n_cut = 0
        whole, bare = tokenizer.encode("x"), self._plain("x")
        self._own_lead = tuple(whole[: whole.index(bare[0])])
        self._longest: int | None = getattr(engine, "context_length", None)

    def answers(self, prompts: Sequence[str], max_new_tokens: int, *, chat: bool, counted: bool = True) -> list[str]:
        """Returns the greedy answer to each prompt.

        Args:
            prompts: the user's turns.
            max_new_tokens: the longest answer.
            chat: whether the prompts go through the chat template.
            counted: whether truncated and empty answers are counted.
        """
        settings = {"max_gen_toks": max_new_tokens, "temperature": 0.0}
        asked = [self._request(text, settings) for text in self._all_asked(prompts, chat)]
        texts = []
        for sent, completion in zip(asked, self.completions(asked), strict=True):
            texts.append(self.template.decode(completion.token_ids, sent.prompt_ids))
            self.n_truncated += counted and completion.finish_reason == "length"
            self.n_empty += counted and not texts[-1].strip()
        return texts

    def choices(self, contexts: Sequence[str], continuations: Sequence[str], *, chat: bool) -> list[int]:
        """Returns for each context the number of the most likely continuation; the first of equal ones."""
        return [values.index(max(values)) for values in self.likelihoods(contexts, continuations, chat=chat)]

    def likelihoods(self, contexts: Sequence[str], continuations: Sequence[str], *, chat: bool) -> list[list[float]]:
        """Returns for each context the log-probability of every continuation, in nats.

        Under the chat template an answer begins without the space that plain text has.
        """
        wanted = [text.lstrip() if chat else text for text in continuations]
        found: list[list[float]] = []
        for start in range(0, len(contexts), CHUNK):
            texts = self._all_asked(contexts[start : start + CHUNK], chat)
            ids = [self._ids(text) for text in texts]
            key = _key(chat, wanted, ids)
            self.n_cut += sum(self._room(1) < len(before) for before in ids)
            rows = self.memory.find(key) if self.memory is not None else None
            if rows is None:
                choices = tokens_behind(texts, ids, wanted, self._plain)
                pairs = [
                    (before[-self._room(len(after)) :], tuple(after))
                    for before, behind in zip(ids, choices, strict=True)
                    for after in behind
                ]
                values = [value for value, _ in self.engine.loglikelihood(pairs)]
                rows = [values[i : i + len(wanted)] for i in range(0, len(values), len(wanted))]
                self._keep(key, rows, len(texts))
            self._chats.clear()
            found += rows
            self._done(len(texts))
        return found

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Returns what the harness asks for, chunk by chunk; see `EngineLM.loglikelihood`."""
        found: list[tuple[float, bool]] = []
        for start in range(0, len(requests), HARNESS_CHUNK):
            chunk = requests[start : start + HARNESS_CHUNK]
            count = len({request.args[0] for request in chunk})
            key = _key("harness", [(self._ids(request.args[0]), request.args[1]) for request in chunk])
            rows = self.memory.find(key) if self.memory is not None else None
            if rows is None:
                rows = super().loglikelihood(chunk)
                self._keep(key, [list(row) for row in rows], count)
            found += [(float(value), bool(greedy)) for value, greedy in rows]
            self._done(count)
        return found

    def _keep(self, key: str, value: Any, count: int) -> None:
        if self.memory is not None:
            self.memory.add(key, value, count)
            self.memory.save()

    def completions(self, asked: Sequence[Request]) -> list[Completion]:
        """Returns the engine's completions; those that the memory has are not written again.

        Other decoding than that of `answers`, or conversations, are asked for in this way.
        """
        memory, keys = self.memory, [_key(astuple(request)) for request in asked]
        kept = {i: memory.find(key) for i, key in enumerate(keys)} if memory is not None else {}
        found = {i: Completion(tuple(row[0]), row[1]) for i, row in kept.items() if row is not None}
        todo = [i for i in range(len(asked)) if i not in found]
        self._done(len(found))

        def keep(finished: Mapping[int, Completion]) -> None:
            for place, completion in finished.items():
                if memory is not None and completion.finish_reason != "error":
                    memory.add(keys[todo[place]], [list(completion.token_ids), completion.finish_reason])
            self._done(len(finished))

        if todo:
            found |= dict(zip(todo, self._written([asked[i] for i in todo], keep), strict=True))
        return [found[i] for i in range(len(asked))]

    def _written(self, requests: Sequence[Request], keep: Any) -> list[Completion]:
        engine: Any = self.engine
        if not hasattr(engine, "on_finished"):
            return self._in_portions(requests, keep)
        engine.on_finished = keep
        try:
            return list(engine.generate(requests))
        finally:
            engine.on_finished = None
            if self.memory is not None:
                self.memory.save()

    def _in_portions(self, requests: Sequence[Request], keep: Any) -> list[Completion]:
        """Returns the completions of an engine that gives all of a call at once; a kill costs one portion."""
        completions: list[Completion] = []
        for start in range(0, len(requests), PORTION):
            part = self.engine.generate(requests[start : start + PORTION])
            keep({start + k: completion for k, completion in enumerate(part)})
            if self.memory is not None:
                self.memory.save()
            completions += part
        return completions

    def _all_asked(self, prompts: Sequence[str], chat: bool) -> list[str]:
        """Returns the prompts as the model is asked them; their tokens are at hand then."""
        if chat:
            return [self.apply_chat_template([{"role": "user", "content": prompt}]) for prompt in prompts]
        for prompt, ids in zip(prompts, tokens_of_all(prompts, self._plain), strict=True):
            self._chats[prompt] = (*self._own_lead, *ids)
        return list(prompts)

    def _pair(self, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        before, after = super()._pair(context, continuation)
        return before[-self._room(len(after)) :], after

    def _room(self, continuation: int) -> int:
        """Returns how many tokens of a context the model reads before a continuation of so many tokens."""
        return sys.maxsize if self._longest is None else self._longest + 1 - continuation


def _key(*asked: object) -> str:
    return hashlib.blake2b(repr(asked).encode(), digest_size=16).hexdigest()
