"""Finds out how to talk to a server, and proves that it reads exactly the intended token ids.

It tries one short request in each dialect, the most exact one first. A dialect works only if the server reads as many
prompt tokens as were sent, so that a BOS that it adds or a template that it applies is found before a run starts. A
server that takes token ids may omit the number; one that takes text, which it tokenizes itself, may not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.server.client import (
    Dropped,
    Failed,
    Rejected,
    ServerClient,
    ServerFailure,
    Unavailable,
)
from synthetic_instruction_tuner.engines.server.dialects import (
    Dialect,
    LlamaCppDialect,
    OllamaDialect,
    TextDialect,
    TokenDialect,
)
from synthetic_instruction_tuner.engines.server.engine import FinishedTexts, ServerEngine
from synthetic_instruction_tuner.engines.server.replies import first_choice, model_names, text_of, token_ids
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

_PROBE_TOKENS = 8
_log = logging.getLogger(__name__)


class Unreachable(RunError):
    """There is no server, or it is still starting."""


def open_server(
    model: ModelConfig,
    config: EngineConfig,
    template: ChatTemplate,
    *,
    wait: float,
    finished: FinishedTexts | None = None,
) -> ServerEngine:
    """Returns the engine for a model on a server.

    Args:
        model: the model; its own `url` takes precedence over the engine's.
        config: address, key, timeouts.
        template: the chat template of the model's own tokenizer.
        wait: seconds to wait for a server that is not up yet.
        finished: keeps completions; see `ServerEngine`.

    Raises:
        UserError, Unreachable: see `find_dialect`.
    """
    url = model.url or config.url
    if url is None:
        raise UserError(f"{model.name} has no server.", "engine.kind is server", "Set engine.url or the model's url.")
    variable = model.api_key_env if model.url else config.api_key_env  # a key goes to its own server only
    client = ServerClient(url, api_key_env=variable, timeout=config.timeout)
    dialect = find_dialect(client, model, template, wait=wait)
    return ServerEngine(
        dialect,
        where=client.url,
        vocabulary=len(template.tokenizer),
        concurrency=config.concurrency,
        retries=config.max_retries,
        outage=config.outage,
        check=_same_server(client, model, template, dialect),
        finished=finished,
    )


def _same_server(
    client: ServerClient, model: ModelConfig, template: ChatTemplate, dialect: Dialect
) -> Callable[[], None]:
    """Returns a check that the server is there, with the same model under the same name."""
    try:
        name = served_name(client, model)
    except (ServerFailure, UserError):
        name = None

    def check() -> None:
        found = served_name(client, model)
        if name is not None and found is not None and found != name:
            raise _changed(client, model, f"it had {name}, and has {found} now")
        request = _short_request(template)
        try:
            if isinstance(dialect, TokenDialect):
                _token_dialect(client, dialect.model, model, template.tokenizer, request)
            dialect.complete(request)
        except Rejected as error:
            raise _changed(client, model, str(error)) from None

    return check


def _changed(client: ServerClient, model: ModelConfig, cause: str) -> UserError:
    return UserError(
        f"The server {client.url} does not run the same model as before.",
        cause,
        f"Start it with {model.path}, then run the same command again: finished work is kept.",
    )


def _short_request(template: ChatTemplate) -> Request:
    # A new question each time: a server may not count the tokens of a prompt that it has cached.
    question = Message("user", f"What is the sea? {time.time_ns()}")
    return Request(tuple(template.prompt_ids([question])), 1, _PROBE_TOKENS, template.stop_ids, 0.0)


def find_dialect(client: ServerClient, model: ModelConfig, template: ChatTemplate, *, wait: float = 0.0) -> Dialect:
    """Returns the most exact dialect that works with this server.

    Raises:
        UserError: the server reads the intended prompt in no dialect, or does not have the model.
        Unreachable: the server does not answer.
    """
    request = _short_request(template)
    end, logged = time.monotonic() + wait, False
    while True:
        try:
            return _find(client, model, template.tokenizer, request)
        except (Unavailable, Dropped) as error:
            if time.monotonic() >= end:
                fix = "Start it or correct the url, then run the same command again."
                raise Unreachable(f"The server {client.url} does not answer.", str(error), fix) from None
            if not logged:
                _log.warning("Waiting up to %.0f s for the server %s (%s).", wait, client.url, error)
                logged = True
            time.sleep(min(getattr(error, "wait", None) or 2.0, 5.0, max(0.0, end - time.monotonic())))


def served_name(client: ServerClient, model: ModelConfig) -> str | None:
    """Returns the model's name on the server; None if the server does not list names and needs none.

    Raises:
        UserError: the server lists no model of this name.
    """
    if model.served_as:
        return model.served_as
    try:
        listed = client.get("/v1/models")
    except Unavailable:
        raise
    except ServerFailure:
        return None
    names = model_names(listed)
    for name in names:
        if name in (model.path, model.name) or name.removesuffix(":latest") == model.name:
            return name
    # If the url is this model's own and the server has one model, that is the one, whatever its name. A url for several
    # models does not say so: a responder would silently be the generator.
    if len(names) == 1 and model.url:
        return names[0]
    if names:
        raise UserError(
            f"The server {client.url} has no model called {model.path}.",
            f"it has {', '.join(names[:8])}",
            "Set the model's served_as to one of these names, or give the model its own url.",
        )
    return None


def _find(client: ServerClient, model: ModelConfig, tokenizer: Any, request: Request) -> Dialect:
    name = served_name(client, model)
    if _answers(client, "/props", "default_generation_settings"):
        return _proven(client, [lambda: LlamaCppDialect(client, name)], request)
    ways: list[Callable[[], Dialect]] = []
    if _answers(client, "/api/version", "version"):
        ways += [partial(OllamaDialect, client, name, tokenizer, drops_bos=drops) for drops in (False, True)]
        return _proven(client, ways, request)
    for called in dict.fromkeys((name, None)):  # a server with one model may list others
        ways.append(partial(_token_dialect, client, called, model, tokenizer, request))
        for settings in (True, False):
            for drops in (False, True):
                ways.append(partial(_text_dialect, client, called, tokenizer, request, settings, drops))
    return _proven(client, ways, request)


def _token_dialect(
    client: ServerClient, name: str | None, model: ModelConfig, tokenizer: Any, request: Request
) -> TokenDialect:
    """Returns the token dialect, after checking whether the server returns token ids and whose they are."""
    dialect = TokenDialect(client, name, tokenizer)
    body = dialect.body(request) | {"ignore_eos": False, "skip_special_tokens": False}
    choice = first_choice(client.post("/v1/completions", body))
    if choice.get("token_ids") is None:
        return TokenDialect(client, name, tokenizer, returns_ids=False)
    ids, text = token_ids(choice["token_ids"], "token_ids"), text_of(choice.get("text"))
    ours = str(tokenizer.decode(ids, skip_special_tokens=False))
    if _plain(ours) != _plain(text) and not _plain(ours).startswith(_plain(text)):  # the stop token may be missing
        raise UserError(
            f"The server {client.url} runs another model than {model.path}.",
            f"it decodes to {text[:40]!r} what this model's tokenizer decodes to {ours[:40]!r}",
            "Set the model to the one that the server runs, or the url to the right server.",
        )
    return dialect


def _text_dialect(
    client: ServerClient, name: str | None, tokenizer: Any, request: Request, settings: bool, drops_bos: bool
) -> TextDialect:
    """Returns the text dialect, with generation configurations only where the server reads them."""
    dialect = TextDialect(client, name, tokenizer, drops_bos=drops_bos, generation_config=settings)
    if settings:
        try:
            client.post("/v1/completions", dialect.body(request) | {"generation_config": "{"})
        except Unavailable:
            raise
        except ServerFailure:
            return dialect  # it tried to read the invalid JSON
        raise Rejected("it does not read generation configurations")
    return dialect


def _proven(client: ServerClient, ways: list[Callable[[], Dialect]], request: Request) -> Dialect:
    """Returns the first dialect in which the server reads the prompt as it was sent."""
    reasons: dict[str, None] = {}
    for way in ways:
        try:
            dialect = way()
            dialect.complete(request)
            return dialect
        except Unavailable:
            raise
        except ServerFailure as error:
            reasons[str(error)] = None
    raise UserError(
        f"The server {client.url} cannot be used: it must read a prompt as exactly the tokens sent "
        f"({len(request.prompt_ids)} here).",
        "; ".join(reasons),
        "Check that it has a completions endpoint and runs the model whose tokenizer is used here, or use a server "
        "that takes token ids (vLLM, llama.cpp).",
    )


def _answers(client: ServerClient, path: str, field: str) -> bool:
    """Returns whether the server is of the kind that answers at this path with this field."""
    try:
        found = client.get(path)
    except (Rejected, Failed, UserError):
        return False
    return isinstance(found, dict) and field in found


def _plain(text: str) -> str:
    return text.replace("\ufffd", "").strip()
