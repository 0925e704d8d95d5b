"""Whatever a server answers is a completion or one failed request that says why, in the server's own words if it can.

The properties replace parts of a valid answer by other JSON; the examples send what real servers and gateways send.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from chain_model import chain_tokenizer
from fake_server import FakeServer, Reply
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.server import client as server_client
from synthetic_instruction_tuner.engines.server import watch
from synthetic_instruction_tuner.engines.server.chat_endpoint import ChatDialect, TextTemplate
from synthetic_instruction_tuner.engines.server.client import ServerClient, ServerFailure
from synthetic_instruction_tuner.engines.server.dialects import (
    Dialect,
    LlamaCppDialect,
    OllamaDialect,
    TextDialect,
    TokenDialect,
)
from synthetic_instruction_tuner.engines.server.engine import ServerEngine
from synthetic_instruction_tuner.engines.server.probe import find_dialect, open_server, served_name
from synthetic_instruction_tuner.errors import RunError, SitError, UserError
from synthetic_instruction_tuner.escaping import visible
from synthetic_instruction_tuner.records import Message

KEY = 'sk-very"secret&<'
TOKENIZER = chain_tokenizer(adds_bos=True)
MODEL = ModelConfig(path="chain")
REQUEST = Request(tuple(TOKENIZER.encode("ab", add_special_tokens=False)), 1, 3, (TOKENIZER.eos_token_id,), 0.0)
SHORT = len(REQUEST.prompt_ids)
TALK = Request(tuple(TextTemplate().prompt_ids([Message("user", "Rate it.")])), 1, 3, (), 0.0)


class Canned(ServerClient):
    """A client whose server always answers with these bytes; they are read as those of a real one."""

    def __init__(self, content: bytes, status: int = 200) -> None:
        super().__init__("http://127.0.0.1:9")
        self._key, self.content, self.status = KEY, content, status

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> Any:
        answer = requests.Response()
        answer.status_code = self.status
        return self._read(answer, self.content)


def canned(found: Any, status: int = 200) -> Canned:
    return Canned(json.dumps(found).encode(), status)


def dialect_of(kind: str, client: ServerClient) -> Dialect:
    return {
        "token ids": lambda: TokenDialect(client, "chain", TOKENIZER),
        "text": lambda: TextDialect(client, "chain", TOKENIZER, drops_bos=False, generation_config=True),
        "llama.cpp": lambda: LlamaCppDialect(client),
        "ollama": lambda: OllamaDialect(client, "chain", TOKENIZER, drops_bos=False),
        "chat": lambda: ChatDialect(client, "chain"),
    }[kind]()


USAGE = {"prompt_tokens": SHORT, "completion_tokens": 3, "total_tokens": SHORT + 3}
CHOICE = {"index": 0, "text": "bcd", "token_ids": [7, 8, 9], "logprobs": None, "finish_reason": "length"}
ANSWERS: dict[str, dict[str, Any]] = {
    "token ids": {"id": "x", "object": "text_completion", "choices": [CHOICE], "usage": USAGE},
    "text": {"choices": [{k: v for k, v in CHOICE.items() if k != "token_ids"}], "usage": USAGE},
    "llama.cpp": {"content": "bcd", "tokens": [7, 8, 9], "stop_type": "limit", "tokens_evaluated": SHORT},
    "chat": {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": [{"type": "text", "text": "bcd"}]},
                "finish_reason": "length",
            }
        ],
        "usage": USAGE,
    },
    "ollama": {"response": "bcd", "done": True, "done_reason": "length", "prompt_eval_count": SHORT},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([-1, 2**31, 2**64, 10**400, 1e400, "5", "\ud800", "stop", "\0", {}, [], [[]], [None]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(found: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    for key in found if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ():
        yield from places(found[key], (*way, key))


def with_part(found: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    found = copy.deepcopy(found)
    inner = found
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return found


def outcome(dialect: Dialect) -> Completion | str:
    """The completion, or why there is none; anything else that is raised fails the test."""
    try:
        got = dialect.complete(TALK if isinstance(dialect, ChatDialect) else REQUEST)
    except (ServerFailure, UserError) as error:
        said = str(error)
        assert visible(said) == said or isinstance(error, UserError)
        said.encode()
        return said
    assert got.finish_reason in ("stop", "length") and all(type(token) is int for token in got.token_ids)
    return got


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_valid_answer_is_one(kind: str) -> None:
    assert isinstance(outcome(dialect_of(kind, canned(ANSWERS[kind]))), Completion)


@pytest.mark.parametrize("kind", ANSWERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_part_may_be_anything(kind: str, data: st.DataObject) -> None:
    way = data.draw(st.sampled_from(list(places(ANSWERS[kind]))))
    outcome(dialect_of(kind, canned(with_part(ANSWERS[kind], way, data.draw(JSON)))))


@pytest.mark.parametrize("kind", ANSWERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_byte_may_be_another(kind: str, data: st.DataObject) -> None:
    content = bytearray(json.dumps(ANSWERS[kind]).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    outcome(dialect_of(kind, Canned(bytes(content[: data.draw(st.integers(0, len(content)))]))))
    outcome(dialect_of(kind, Canned(bytes(content))))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_scores_may_be_anything(data: st.DataObject) -> None:
    step = {str(REQUEST.prompt_ids[1]): {"logprob": -0.5, "rank": 1, "decoded_token": "b"}}
    answer = {"choices": [CHOICE | {"prompt_logprobs": [None, step]}], "usage": USAGE}
    first, second = REQUEST.prompt_ids[:1], REQUEST.prompt_ids[1:]
    assert TokenDialect(canned(answer), "chain", TOKENIZER).score(first, second) == (-0.5, True)
    way = data.draw(st.sampled_from(list(places(answer))))
    engine = ServerEngine(
        TokenDialect(canned(with_part(answer, way, data.draw(JSON))), "chain", TOKENIZER), where="it", vocabulary=99
    )
    try:
        ((total, greedy),) = engine.loglikelihood([(first, second)])
    except (RunError, UserError):
        return
    assert total <= 0.01 and isinstance(greedy, bool)


@settings(max_examples=40, deadline=None)
@given(found=JSON, status=st.sampled_from([200, 302, 400, 401, 404, 408, 418, 429, 500, 503]))
def test_the_first_question_may_be_answered_with_anything(found: Any, status: int) -> None:
    """What lists models, and what shows of which kind a server is, is read as strictly."""
    for listed in (found, {"data": found}, {"data": [found, {"id": found}]}):
        client = canned(listed, status)
        with contextlib.suppress(ServerFailure, SitError):
            served_name(client, MODEL)
        with pytest.raises(SitError):
            find_dialect(client, MODEL, ChatTemplate.from_tokenizer(TOKENIZER))


REASONS: list[tuple[str, Any, str]] = [
    ("token ids", {"choices": None}, "no choices"),
    ("token ids", {"choices": []}, "no choices"),
    ("token ids", {"choices": {"0": CHOICE}}, "no choices"),
    ("token ids", {"choices": [CHOICE, CHOICE]}, "2 choices where one was asked for"),
    ("token ids", {"choices": [None]}, "choice is null"),
    ("token ids", {"choices": [CHOICE | {"index": 1}]}, "index 1 where 0"),
    ("token ids", {"choices": [CHOICE | {"index": "0"}]}, 'index "0" where 0'),
    ("token ids", {"choices": [CHOICE | {"finish_reason": "content_filter"}]}, 'reason "content_filter"'),
    ("token ids", {"choices": [CHOICE | {"finish_reason": None}]}, "not say why it ended"),
    ("token ids", {"choices": [CHOICE | {"finish_reason": ["stop"]}]}, "reason to end is a list"),
    ("token ids", {"choices": [CHOICE | {"token_ids": ["7"]}]}, 'holds "7", which is no token id'),
    ("token ids", {"choices": [CHOICE | {"token_ids": [7.0]}]}, "holds 7.0"),
    ("token ids", {"choices": [CHOICE | {"token_ids": [True]}]}, "holds true"),
    ("token ids", {"choices": [CHOICE | {"token_ids": [-7]}]}, "holds -7"),
    ("token ids", {"choices": [CHOICE], "usage": {"prompt_tokens": str(SHORT)}}, f'prompt_tokens is "{SHORT}"'),
    ("token ids", {"choices": [CHOICE], "usage": {"prompt_tokens": float("nan")}}, "prompt_tokens is NaN"),
    ("text", {"choices": [{"message": {"content": "b"}, "finish_reason": "stop"}], "usage": USAGE}, "no text"),
    ("text", {"choices": [{"text": [{"type": "text"}], "finish_reason": "stop"}], "usage": USAGE}, "text is a list"),
    ("text", {"choices": [{"text": "b", "finish_reason": "stop"}], "usage": {"prompt_tokens": True}}, "is true"),
    ("llama.cpp", {"tokens": None}, "tokens is null"),
    ("ollama", {"response": 5}, "text is a number"),
    ("ollama", "gone fishing", "gone fishing"),
    ("ollama", [1], "the answer is a list"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "reason"), REASONS, ids=range(len(REASONS)))
def test_each_fault_is_named(kind: str, answer: Any, reason: str) -> None:
    got = outcome(dialect_of(kind, canned(answer)))
    assert isinstance(got, str) and reason in got


WORDS: list[tuple[Any, str]] = [
    ({"error": {"message": "the model is overloaded", "type": "server_error"}}, "the model is overloaded"),
    ({"error": "Unexpected endpoint or method. (POST /v1/completions)"}, "Unexpected endpoint or method."),
    ({"detail": "prompt is too long"}, "prompt is too long"),
    ({"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}, "field required"),
    ({"object": "error", "message": "max_tokens is too large", "type": "BadRequestError"}, "max_tokens is too large"),
    ({"object": "error", "message": "no such adapter", "code": 400}, "status 400: no such adapter"),
    ([{"error": {"code": 429, "message": "quota exceeded", "status": "RESOURCE_EXHAUSTED"}}], "status 429: quota"),
    ({"error": {"message": "upstream timed out", "code": "504"}}, "status 504: upstream timed out"),
    ({"choices": [], "error": {"message": "nothing there"}}, "nothing there"),
    ({"choices": [CHOICE | {"error": {"code": 502, "message": "provider is gone"}}]}, "status 502: provider is gone"),
    ({"choices": [CHOICE], "error": {"message": "cut"}}, "cut"),
    ({"status": "error", "message": "out of memory"}, "out of memory"),
    ({"success": False, "errors": [{"code": 7003, "message": "no route"}]}, "no route"),
    ({"error": {"metadata": {"raw": "odd"}}}, "odd"),
    ({"error": 17}, "17"),
]


@pytest.mark.parametrize(("answer", "said"), WORDS, ids=range(len(WORDS)))
def test_an_error_with_status_200_is_told_in_the_server_s_words(answer: Any, said: str) -> None:
    got = outcome(dialect_of("token ids", canned(answer)))
    assert isinstance(got, str) and said in got


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Internal error: CUDA out of memory", "not JSON: Internal error: CUDA out of memory"),
        (b"<html><head><title>502 Bad Gateway</title><style>b {}</style></head><body><h1>502 Bad Gateway</h1>"
         b"<p>nginx &amp; co</p></body></html>", "not JSON: 502 Bad Gateway nginx & co"),
        (b"", "the answer is empty"),
        (b'{"choices": [{"text": "b', "not JSON"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n', "not JSON: data:"),
        (b'{"choices": [{"text": "\xff\xfe"}]}', "not UTF-8"),
        (b'{"choices": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"error": ' + b"[" * 500 + b"]" * 500 + b"}", "error"),
        (b'{"choices": [1' + b"0" * 5000 + b"]}", "not JSON"),
    ],
    ids=["text", "HTML", "nothing", "cut off", "a stream", "latin", "deep", "deep error", "long number"],
)  # fmt: skip
def test_what_is_no_json_is_told_too(content: bytes, said: str) -> None:
    got = outcome(dialect_of("token ids", Canned(content)))
    assert isinstance(got, str) and said in got and len(got) < 400


def test_what_is_nested_deeply_and_not_needed_does_no_harm() -> None:
    content = json.dumps(ANSWERS["token ids"])[:-1] + ', "more": ' + "[" * 500 + "]" * 500 + "}"
    assert isinstance(outcome(dialect_of("token ids", Canned(content.encode()))), Completion)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("form", [KEY, json.dumps(KEY)[1:-1], "sk-very&quot;secret&amp;&lt;"])
def test_the_key_is_in_no_message(status: int, form: str) -> None:
    said = [json.dumps({"error": {"message": f"the key {form} is bad"}}), json.dumps({"detail": [form]})]
    for content in (*said, json.dumps(f"<p>{form}</p>"), f"<p>the key {form} is bad</p>", form):
        got = outcome(dialect_of("token ids", Canned(content.encode(), status)))
        assert isinstance(got, str) and "secret" not in got


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.02)


ON_THE_WIRE: dict[str, tuple[Reply, str]] = {
    "no gzip": ((200, b'{"choices": []}', {"Content-Encoding": "gzip"}), "not packed as its header says"),
    "half a gzip": ((200, gzip.compress(b"{}" * 999)[:-20], {"Content-Encoding": "gzip"}), ""),
    "too short a length": ((200, json.dumps({"choices": [CHOICE]}).encode(), {"Content-Length": "9"}), "not JSON"),
    "no length": ((200, b"{}", {"Content-Length": "many", "Connection": "close"}), "no choices"),
    "an error": ((200, {"error": {"message": "too many cooks"}}), "too many cooks"),
    "an odd time to wait": ((429, {"error": "busy"}, {"Retry-After": "nan"}), "busy"),
    "another odd time": ((503, b"\xff\0\x1b[31m", {"Retry-After": "-inf"}), "503"),
    "other ids": ((200, {"choices": [CHOICE | {"token_ids": [10**6]}]}), "not in the vocabulary"),
    "half a character": ((400, {"error": "\ud83d \0"}), "status 400: \\ud83d \\x00"),
}


@pytest.mark.usefixtures("_short_pauses")
@pytest.mark.parametrize("case", ON_THE_WIRE)
def test_one_bad_answer_is_one_failed_request(case: str) -> None:
    reply, said = ON_THE_WIRE[case]
    template = ChatTemplate.from_tokenizer(TOKENIZER)
    with FakeServer("vllm", TOKENIZER) as server:
        config = EngineConfig(url=server.url, concurrency=4, max_retries=1, outage=0.2, timeout=5)
        engine = open_server(MODEL, config, template, wait=0)
        bad = list(REQUEST.prompt_ids)
        server.script = lambda body: reply if body["prompt"] == bad else None
        good = Request(tuple(TOKENIZER.encode("xxa", add_special_tokens=False)), 1, 3, (), 0.0)
        first, odd, last = engine.generate([good, REQUEST, good])
    assert first.finish_reason == last.finish_reason == "length" and first.token_ids == last.token_ids
    assert odd.finish_reason == "error" and said in odd.error
    odd.error.encode()


@pytest.mark.usefixtures("_short_pauses")
def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_client, "_LARGEST", 1 << 20)
    with FakeServer("vllm", TOKENIZER) as server:
        server.get = lambda path: (200, gzip.compress(b" " * (8 << 20)), {"Content-Encoding": "gzip"})  # type: ignore[method-assign]
        with pytest.raises(server_client.Failed, match="more than 1 MB"):
            ServerClient(server.url).get("/v1/models")


def test_a_worker_that_fails_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the caller would wait for its answer for ever."""
    engine = ServerEngine(dialect_of("token ids", canned(None)), where="it", vocabulary=99)
    failing: Callable[..., Any] = lambda *_, **__: 1 / 0  # noqa: E731
    monkeypatch.setattr(engine, "_ask", failing)
    with pytest.raises(ZeroDivisionError):
        engine.generate([REQUEST])
