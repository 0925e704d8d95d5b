"""An OpenAI-compatible chat endpoint as an engine, for models whose tokenizer is not known here, such as a judge.

Engines take token ids. Here a conversation is written as JSON, and its bytes are the ids: the endpoint applies its own
template. So retries, waiting for a server that is away, and the keeping of finished texts are those of `ServerEngine`.
Nothing but texts comes back, so no student, generator or responder runs this way: their templates must be known.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Request
from synthetic_instruction_tuner.engines.server.client import (
    Dropped,
    Failed,
    Missing,
    Rejected,
    ServerClient,
    ServerFailure,
    Unavailable,
)
from synthetic_instruction_tuner.engines.server.engine import FinishedTexts, ServerEngine
from synthetic_instruction_tuner.engines.server.probe import Unreachable, served_name
from synthetic_instruction_tuner.engines.server.replies import first_choice, object_of, reason_of, text_of
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

_BYTES = 256
_PROBE_TOKENS = 16  # the fewest that some endpoints accept
_log = logging.getLogger(__name__)


class TextTemplate:
    """What `ChatTemplate` is for a model with a known tokenizer: conversations to ids and back, here their bytes."""

    stop_ids: tuple[int, ...] = ()

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Returns the conversation as the bytes of its JSON."""
        turns = [message.as_dict() for message in messages]
        return list(json.dumps(turns).encode())

    def decode(self, ids: Sequence[int]) -> str:
        """Returns an answer's text."""
        return bytes(ids).decode("utf-8", "replace").strip()


class ChatDialect:
    """`/v1/chat/completions`; a `Dialect`. Safe to use from several threads.

    Endpoints differ in what they refuse: ``max_tokens`` has another name for some models, others take no temperature,
    no seed, or no system prompt. What one refuses by name is sent differently from then on.

    Args:
        client: the server.
        model: the model's name there; None where the server needs none.
    """

    title = "texts, OpenAI chat completions"
    capabilities = Capabilities(seeded=False, batch_free=False, exact_stops=False, scores=False, exact_ids=False)

    def __init__(self, client: ServerClient, model: str | None) -> None:
        self._client, self._model = client, model
        self._refused: frozenset[str] = frozenset()

    def complete(self, request: Request) -> Completion:
        """Returns the endpoint's answer, its bytes as ids."""
        while True:
            refused = self._refused
            try:
                answer = self._client.post("/v1/chat/completions", self.body(request, refused))
            except Missing:
                raise
            except Rejected as error:
                if not (more := _refuses(str(error)) - refused):
                    raise
                self._refused = refused | more
                continue
            choice = first_choice(answer)
            message = choice.get("message")
            if not isinstance(message, dict):
                raise Failed("the answer's choice has no message")
            content = message.get("content")
            text = "" if content is None else text_of(_joined(content))
            ends_early = reason_of(choice.get("finish_reason")) == "length"
            return Completion(tuple(text.encode()), "length" if ends_early else "stop")

    def body(self, request: Request, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Returns the request's body, without what the endpoint has refused."""
        turns = json.loads(bytes(request.prompt_ids))
        if "system" in refused and len(turns) > 1 and turns[0]["role"] == "system":
            first = f"{turns[0]['content'].strip()}\n\n{turns[1]['content']}"
            turns = [{"role": "user", "content": first}, *turns[2:]]
        limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        body: dict[str, Any] = {"messages": turns, limit: request.max_new_tokens, "stream": False}
        if "temperature" not in refused:
            body |= {"temperature": request.temperature}
        if "seed" not in refused:
            body |= {"seed": request.seed % 2**31}
        return body | ({"model": self._model} if self._model else {})


def open_chat_endpoint(
    model: ModelConfig, config: EngineConfig, *, finished: FinishedTexts | None = None
) -> ServerEngine:
    """Returns the engine for a model behind a chat endpoint, after one short request.

    Args:
        model: with its `url`, the name of its key's variable, and its name there.
        config: timeouts, retries and how long to wait.
        finished: keeps completions; see `ServerEngine`.

    Raises:
        UserError: the endpoint does not accept the key, does not have the model, or refuses the request.
        Unreachable: it does not answer.
    """
    if not model.url:
        raise UserError(f"{model.name} has no server.", "a chat endpoint needs an address", "Set the model's url.")
    client = ServerClient(model.url, api_key_env=model.api_key_env, timeout=config.timeout)
    dialect = _waited_for(client, model, config.outage)
    return ServerEngine(
        dialect,
        where=client.url,
        vocabulary=_BYTES,
        concurrency=config.concurrency,
        retries=config.max_retries,
        outage=config.outage,
        check=_check(dialect),
        finished=finished,
    )


def check_chat_endpoint(model: ModelConfig, config: EngineConfig) -> str:
    """Returns how the endpoint is asked, after one short request; it is not waited for.

    Raises:
        UserError, Unreachable: see `open_chat_endpoint`.
    """
    client = ServerClient(model.url or "", api_key_env=model.api_key_env, timeout=config.timeout)
    return f"{client.url} ({_waited_for(client, model, 0.0).title})"


def _waited_for(client: ServerClient, model: ModelConfig, wait: float) -> ChatDialect:
    end, said = time.monotonic() + wait, False
    while True:
        try:
            return _found(client, model)
        except (Unavailable, Dropped, Failed) as error:
            if time.monotonic() >= end:
                fix = "Start it or correct the url, then run the same command again: finished work is kept."
                raise Unreachable(f"The server {client.url} does not answer.", str(error), fix) from None
            if not said:
                _log.warning("Waiting up to %.0f s for the server %s (%s).", wait, client.url, error)
                said = True
            time.sleep(min(getattr(error, "wait", None) or 2.0, 5.0, max(0.0, end - time.monotonic())))
        except Missing as error:
            raise UserError(
                f"The server {client.url} has no chat endpoint, or no model called {model.served_as or model.path}.",
                str(error),
                "Check the url, and set the model's served_as to its name there.",
            ) from None
        except ServerFailure as error:
            raise UserError(
                f"The chat endpoint of {client.url} cannot be used.", str(error), "Check the url and the model's name."
            ) from None


def _found(client: ServerClient, model: ModelConfig) -> ChatDialect:
    dialect = ChatDialect(client, served_name(client, model) or model.path)
    dialect.complete(_short_request())
    return dialect


def _check(dialect: ChatDialect) -> Callable[[], None]:
    def check() -> None:
        try:
            dialect.complete(_short_request())
        except Missing as error:
            raise UserError(
                "The server does not have the model any more.",
                str(error),
                "Start it with that model, then run the same command again: finished work is kept.",
            ) from None
        except Rejected:
            return  # it is there; what it refuses is this request

    return check


def _short_request() -> Request:
    ids = TextTemplate().prompt_ids([Message("user", "Say yes.")])
    return Request(tuple(ids), 1, _PROBE_TOKENS, (), 0.0)


def _refuses(message: str) -> frozenset[str]:
    """Returns the parts of a body that an error message names."""
    said = message.casefold()
    named = {name for name in ("max_tokens", "temperature", "seed") if name in said}
    if "system" in said and ("role" in said or "support" in said or "message" in said):
        named.add("system")
    return frozenset(named)


def _joined(content: Any) -> Any:
    """Returns the text of a content that comes in parts, without thoughts; anything else as it is."""
    if not isinstance(content, list):
        return content
    parts = [object_of(part) for part in content]
    return "".join(text_of(part.get("text")) for part in parts if part.get("type", "text") == "text")
