"""Asks the judge: every reply is kept as it arrives, and one that cannot be read is asked for again once.

A judge is a chat model on any engine. It decodes greedily, as published, so asking the same again would give the same:
the second time its prompt ends with a reminder of the form.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request, failure_reason, most_frequent
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.escaping import one_line
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.server.chat_endpoint import TextTemplate

TRIAL = 16  # replies after which a judge that was never understood is given up
PASSING = "given up after"  # how the reason begins why a server has not served a request that it may serve later
LONGEST_SHOWN = 160  # characters of a reply in a message
Verdict = TypeVar("Verdict")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the judge wrote; `cut` where it hit its token limit."""

    text: str
    cut: bool = False


class KeptReplies(Protocol):
    """Replies that outlive the process."""

    def find(self, key: str) -> Reply | None:
        """Returns the reply under a key, if it has come before."""

    def add(self, key: str, reply: Reply) -> None:
        """Keeps a reply; when it returns, the reply is safe."""


class RepliesInMemory:
    """Replies that do not outlive the process, for callers that keep results themselves."""

    def __init__(self) -> None:
        self.kept: dict[str, Reply] = {}

    def find(self, key: str) -> Reply | None:
        """Returns the reply under a key."""
        return self.kept.get(key)

    def add(self, key: str, reply: Reply) -> None:
        """Keeps a reply."""
        self.kept[key] = reply


@dataclass(frozen=True, slots=True)
class Judged(Generic[Verdict]):
    """One verdict.

    Attributes:
        verdict: what was read in the judge's reply; None where it could not be read.
        text: the reply that counts: the second one, where there are two.
        asked: how often the judge was asked, 1 or 2.
        fault: why there is no reply at all; empty where there is one.
    """

    verdict: Verdict | None
    text: str
    asked: int = 1
    fault: str = ""


class ArrivingReplies:
    """Hands a server's completions to the judge as they come; see `engines.server.engine.FinishedTexts`.

    Attributes:
        take: what takes them.
    """

    def __init__(self) -> None:
        self.take: Callable[[Request, Completion], None] | None = None

    def find(self, request: Request) -> Completion | None:
        """Returns nothing: what was kept is not asked for."""
        return None

    def add(self, request: Request, completion: Completion) -> None:
        """Hands a completion on."""
        if self.take is not None:
            self.take(request, completion)

    def save(self) -> None:
        """Does nothing: everything is kept already."""


class Counted:
    """Passes on how many replies have come, and what is missing to a number in the end."""

    def __init__(self, done: Done | None) -> None:
        self._done, self._count = done, 0

    def add(self, count: int) -> None:
        """Counts replies that have come."""
        self._count += count
        if self._done is not None:
            self._done(count)

    def fill(self, total: int) -> None:
        """Makes the count complete: kept replies, and prompts that are equal, come without a request."""
        if total > self._count:
            self.add(total - self._count)


class Judge:
    """A loaded judge.

    Args:
        name: as shown beside every number.
        identity: what its replies depend on beside the prompt: part of their keys.
        engine, template: run it.
        max_new_tokens: longest reply.
        kept: replies that came before, and where new ones go.
        at_once: prompts that an engine gets in one call; a run that is killed loses the replies of one call at most.
        arriving: what the engine was opened with, if it is a server: then no reply is lost.
    """

    def __init__(
        self,
        name: str,
        identity: str,
        engine: Engine,
        template: ChatTemplate | TextTemplate,
        *,
        max_new_tokens: int = 2048,
        kept: KeptReplies | None = None,
        at_once: int = 64,
        arriving: ArrivingReplies | None = None,
    ) -> None:
        self.name, self._identity = name, identity
        self._engine, self._template = engine, template
        self._max_new_tokens, self._at_once = max_new_tokens, at_once
        self._kept: KeptReplies = kept if kept is not None else RepliesInMemory()
        self._arriving = arriving
        self._readable = self._unreadable = 0

    def ask(
        self,
        prompts: Sequence[Sequence[Message]],
        read: Callable[[str], Verdict | None],
        reminder: str,
        done: Done | None = None,
    ) -> list[Judged[Verdict]]:
        """Returns a verdict for each prompt, in order.

        Args:
            prompts: conversations that end with the user.
            read: finds the verdict in a reply.
            reminder: what the prompt ends with the second time.
                done: called as replies come; the numbers add up to that of the prompts.

        Raises:
            RunError: the judge cannot be understood, or its server is gone. What has come is kept.
        """
        found: list[Judged[Verdict]] = []
        while len(found) < len(prompts):
            settled = self._readable + self._unreadable
            most = min(self._at_once, TRIAL) if settled < TRIAL else self._at_once
            part = [list(messages) for messages in prompts[len(found) : len(found) + most]]
            counted = Counted(done)
            replies, faults = self._replies(part, counted.add)
            judged = [_judged(reply, fault, read) for reply, fault in zip(replies, faults, strict=True)]
            again = [i for i, one in enumerate(judged) if one.verdict is None and not one.fault]
            if again:
                asked = [[*part[i][:-1], Message("user", part[i][-1].content + reminder)] for i in again]
                for i, reply, fault in zip(again, *self._replies(asked), strict=True):
                    judged[i] = replace(_judged(reply, fault, read), asked=2)
            self._require_sense(judged)
            found += judged
            counted.fill(len(part))
        self._require_replies(found)
        return found

    def _replies(
        self, prompts: Sequence[Sequence[Message]], done: Done | None = None
    ) -> tuple[list[Reply | None], list[str]]:
        """Returns the reply to each prompt, and why there is none."""
        keys = [self._key(messages) for messages in prompts]
        replies = [self._kept.find(key) for key in keys]
        faults = [""] * len(prompts)
        missing: dict[str, list[int]] = {}
        for i, reply in enumerate(replies):
            if reply is None:
                missing.setdefault(keys[i], []).append(i)
        requests = [self._request(prompts[places[0]], key) for key, places in missing.items()]
        known = {request: key for request, key in zip(requests, missing, strict=True)}
        stored: set[str] = set()

        def keep(request: Request, completion: Completion) -> None:
            if (key := known.get(request)) is not None and key not in stored:
                stored.add(key)
                self._kept.add(key, self._reply(completion))

        if self._arriving is not None:
            self._arriving.take = keep
        for request, completion in zip(
            requests, self._engine.generate(requests, done) if requests else [], strict=True
        ):
            for place in missing[known[request]]:
                if fault := failure_reason(completion):
                    faults[place] = fault
                else:
                    replies[place] = self._reply(completion)
            if not failure_reason(completion):
                keep(request, completion)
        return replies, faults

    def _reply(self, completion: Completion) -> Reply:
        return Reply(self._template.decode(completion.token_ids), completion.finish_reason == "length")

    def _key(self, messages: Sequence[Message]) -> str:
        parts = [self._identity, self._max_new_tokens, [message.as_dict() for message in messages]]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()

    def _request(self, messages: Sequence[Message], key: str) -> Request:
        return Request(
            prompt_ids=tuple(self._template.prompt_ids(messages)),
            seed=int(key[:15], 16),
            max_new_tokens=self._max_new_tokens,
            stop_ids=tuple(self._template.stop_ids),
            temperature=0.0,
        )

    def _require_replies(self, judged: Sequence[Judged[Verdict]]) -> None:
        """Stops when the server has failed on prompts that it may serve another time; they are not verdicts."""
        failed = Counter(one.fault for one in judged if one.fault.startswith(PASSING))
        if failed:
            raise RunError(
                f"The judge {self.name} gave no reply to {failed.total():,} of {len(judged):,} prompts.",
                most_frequent(failed),
                "Run the same command again: only these are asked for again.",
            )

    def _require_sense(self, judged: Sequence[Judged[Verdict]]) -> None:
        """Stops when nothing, or hardly anything, that the judge has said so far could be read."""
        self._readable += sum(one.verdict is not None for one in judged)
        self._unreadable += sum(one.verdict is None for one in judged)
        if self._unreadable < TRIAL or self._readable >= self._unreadable:
            return
        lost = [one for one in judged if one.verdict is None]
        counts = f"{self._unreadable:,} of {self._readable + self._unreadable:,} replies"
        if reasons := Counter(one.fault for one in lost if one.fault):
            raise RunError(
                f"The judge {self.name} does not serve most requests.",
                f"{counts} are missing or cannot be read: {most_frequent(reasons)}",
                "Mend it, or choose another judge, and run the same command again: its other replies are kept.",
            )
        shown = one_line(lost[-1].text)[:LONGEST_SHOWN] or "(an empty reply)"
        raise RunError(
            f"The judge {self.name} does not give verdicts in the form that is asked for.",
            f"{counts} hold none, also when asked again; the last one begins: {shown}",
            "Choose a judge that follows instructions in English, such as microsoft/phi-4. 'sit judge-check' tries it.",
        )


def _judged(reply: Reply | None, fault: str, read: Callable[[str], Verdict | None]) -> Judged[Verdict]:
    return Judged(read(reply.text), reply.text) if reply else Judged(None, "", fault=fault)
