"""A chat endpoint as an engine: what it refuses, when it is away, keys, and texts of every kind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from scripted_judge import Gone, ScriptedJudge, completion
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.server.chat_endpoint import (
    TextTemplate,
    check_chat_endpoint,
    open_chat_endpoint,
)
from synthetic_instruction_tuner.engines.server.probe import Unreachable
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.records import Message

TEMPLATE = TextTemplate()
CONFIG = EngineConfig(timeout=20, max_retries=1, outage=0.2, concurrency=4)


def request(text: str, system: str = "") -> Request:
    messages = [Message("system", system)] if system else []
    return Request(tuple(TEMPLATE.prompt_ids([*messages, Message("user", text)])), 3, 50, (), 0.0)


def model(server: ScriptedJudge | str, **options: Any) -> ModelConfig:
    url = server if isinstance(server, str) else server.url
    return ModelConfig(path="scripted", url=url, **options)


def asked(server: ScriptedJudge, *requests: Request, **options: Any) -> list[str]:
    engine = open_chat_endpoint(model(server, **options), CONFIG)
    done = engine.generate(requests)
    return [c.error or TEMPLATE.decode(c.token_ids) for c in done]


def test_texts_go_there_and_come_back_whole() -> None:
    odd = "a\n  Ünïcode 中文 🎉 \ud800 {x} [[5]]"
    with ScriptedJudge(lambda messages: messages[-1]["content"] + " ✓") as server:
        assert asked(server, request(odd), request("b", "sys")) == [odd.replace("\ud800", "?") + " ✓", "b ✓"]
    assert [turn["role"] for turn in server.bodies[1]["messages"]] in (["system", "user"], ["user"])
    assert {(b["model"], b["temperature"], b["max_tokens"]) for b in server.bodies} == {("scripted", 0.0, 50)}


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.", "max_tokens"),
        ("'temperature' does not support 0.0 with this model", "temperature"),
        ("extra fields not permitted: seed", "seed"),
        ("System role not supported", "system"),
    ],
)
def test_what_an_endpoint_refuses_is_sent_differently(message: str, refused: str) -> None:
    server: ScriptedJudge

    def script(messages: list[dict[str, str]]) -> Any:
        body = server.bodies[-1]
        named = refused in body or (refused == "system" and messages[0]["role"] == "system")
        return (400, {"error": {"message": message}}) if named else messages[-1]["content"]

    with ScriptedJudge(script) as server:
        engine = open_chat_endpoint(model(server), CONFIG.model_copy(update={"concurrency": 1}))
        found = engine.generate([request("a", "sys"), request("b", "sys")])
    texts = [TEMPLATE.decode(c.token_ids) for c in found]
    assert texts == (["sys\n\na", "sys\n\nb"] if refused == "system" else ["a", "b"])
    assert len(server.bodies) == 3  # what was refused once is not sent again
    if refused == "max_tokens":
        assert server.bodies[-1]["max_completion_tokens"] == 50


def test_a_refusal_that_names_nothing_is_that_requests_error() -> None:
    refuse = (400, {"error": {"message": "the text is too long"}})
    with ScriptedJudge(lambda messages: refuse if messages[-1]["content"] == "long" else "fine") as server:
        assert asked(server, request("a"), request("long"), request("b")) == [
            "fine",
            "status 400: the text is too long",
            "fine",
        ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (completion(None), ""),
        (completion([{"type": "text", "text": "a"}, {"type": "reasoning", "text": "no"}, {"text": "b"}]), "ab"),
        (completion("x", "length"), "x"),
    ],
)
def test_contents_in_every_form_are_read(body: Any, text: str) -> None:
    with ScriptedJudge(lambda _: (200, body)) as server:
        assert asked(server, request("a")) == [text]


MALFORMED = [
    *({"choices": [{"text": "x"}]}, {"choices": []}, [], completion(5), completion("x", ["stop"])),
    *(completion(["x"]), completion([{"type": "text", "text": 5}]), completion([{"type": "text"}])),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_answers_of_another_form_are_that_requests_error(body: Any) -> None:
    with ScriptedJudge(lambda _: (200, body)) as server:
        assert asked(server, request("a"))[0].startswith("given up after 2 attempts")


def test_a_malformed_answer_is_asked_for_again() -> None:
    for body in MALFORMED:
        answers = iter([(200, body), "fine"])
        with ScriptedJudge(lambda _, answers=answers: next(answers)) as server:
            assert asked(server, request("a")) == ["fine"] and len(server.bodies) == 2


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedJudge(lambda _: "fine", key="secret-key-1") as server:
        with pytest.raises(UserError, match="api_key_env") as none:
            asked(server, request("a"), api_key_env="NO_SUCH_KEY_HERE")
        monkeypatch.setenv("JUDGE_KEY", "another-key-2")
        with pytest.raises(UserError) as wrong:
            asked(server, request("a"), api_key_env="JUDGE_KEY")
        assert "another-key-2" not in str(wrong.value) + str(none.value)
        monkeypatch.setenv("JUDGE_KEY", "secret-key-1")
        assert asked(server, request("a"), api_key_env="JUDGE_KEY") == ["fine"]


def test_nobody_there_is_said_clearly() -> None:
    with ScriptedJudge(lambda _: "fine") as server:
        url = server.url
    with pytest.raises(Unreachable, match="does not answer"):
        check_chat_endpoint(model(url), CONFIG)
    with pytest.raises(Unreachable, match="finished work is kept"):
        open_chat_endpoint(model(url), CONFIG)


def test_a_server_without_that_model_or_page_is_named() -> None:
    with (
        ScriptedJudge(lambda _: "fine", name="other") as server,
        pytest.raises(UserError, match="no model called wanted"),
    ):
        open_chat_endpoint(ModelConfig(path="wanted", served_as=None, url=server.url + "/x"), CONFIG)


def test_a_server_that_goes_away_loses_nothing_that_had_come() -> None:
    kept: list[str] = []
    lock = threading.Lock()
    count = 0

    def script(messages: list[dict[str, str]]) -> str:
        nonlocal count
        with lock:
            count += 1
            if count > 10:
                threading.Thread(target=server.stop).start()
                raise Gone
        return messages[-1]["content"]

    class Finished:
        def find(self, request: Request) -> None:
            return None

        def add(self, request: Request, done: Any) -> None:
            kept.append(TEMPLATE.decode(done.token_ids))

        def save(self) -> None:
            pass

    server = ScriptedJudge(script)
    engine = open_chat_endpoint(model(server), CONFIG.model_copy(update={"concurrency": 1}), finished=Finished())
    with pytest.raises(RunError, match="run the same command again"):
        engine.generate([request(str(i)) for i in range(30)])
    assert len(kept) == 10
