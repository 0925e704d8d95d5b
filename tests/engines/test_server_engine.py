"""The server engine: the suite on every dialect, and what it does when servers and requests go wrong."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from chain_model import TEXT, chain_tokenizer
from conformance import CHECKS, Subject, letters_after
from fake_server import Cut, Die, FakeServer, Reply
from pydantic import ValidationError

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, load_config
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.server import client as server_client
from synthetic_instruction_tuner.engines.server import watch
from synthetic_instruction_tuner.engines.server.client import Failed, Rejected, ServerClient
from synthetic_instruction_tuner.engines.server.dialects import (
    Dialect,
    LlamaCppDialect,
    OllamaDialect,
    TextDialect,
    TokenDialect,
)
from synthetic_instruction_tuner.engines.server.engine import ServerEngine
from synthetic_instruction_tuner.engines.server.probe import find_dialect, open_server
from synthetic_instruction_tuner.errors import RunError, UserError

KEY = "sk-very-secret"
MODEL = ModelConfig(path="chain")


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return ChatTemplate.from_tokenizer(chain_tokenizer(adds_bos=True))


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.02)


def opened(server: FakeServer, template: ChatTemplate, **settings: Any) -> ServerEngine:
    config = EngineConfig(url=server.url, **{"concurrency": 16, "max_retries": 2, "outage": 5.0, **settings})
    return open_server(MODEL, config, template, wait=0)


def subject(server: FakeServer, template: ChatTemplate, **settings: Any) -> Subject:
    return Subject(opened(server, template, **settings), template.tokenizer)


KINDS = {
    "vllm": ("vllm", 0, TokenDialect),
    "text": ("text", 0, TextDialect),
    "text that gets a BOS": ("text", 1, TextDialect),
    "serve": ("serve", 0, TextDialect),
    "llama.cpp": ("llamacpp", 0, LlamaCppDialect),
    "ollama": ("ollama", 1, OllamaDialect),
}


@pytest.fixture(scope="module", params=KINDS)
def of_each_kind(request: pytest.FixtureRequest, template: ChatTemplate) -> Iterator[Subject]:
    kind, bos, expected = KINDS[request.param]
    with FakeServer(kind, template.tokenizer, bos=bos) as server:
        found = replace(subject(server, template), mixed=1000 if kind == "vllm" else 200)
        assert isinstance(found.engine, ServerEngine) and isinstance(found.engine._dialect, expected)
        yield found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(of_each_kind: Subject, check: Callable[[Subject], None]) -> None:
    check(of_each_kind)


# What is sent


def test_a_text_server_that_adds_a_bos_gets_none(template: ChatTemplate) -> None:
    bos = template.tokenizer.bos_token
    for added, shown in ((0, True), (1, False)):
        with FakeServer("text", template.tokenizer, bos=added) as server:
            found = subject(server, template)
            found.ask(found.request("U"))
            assert server.bodies[-1]["prompt"].startswith(bos) == shown
            assert server.bodies[-1]["prompt"].count(bos) == shown


@pytest.mark.parametrize("kind", ["text", "ollama"])
def test_a_server_that_reads_another_prompt_is_refused(kind: str, template: ChatTemplate) -> None:
    with FakeServer(kind, template.tokenizer, bos=2) as server, pytest.raises(UserError) as caught:
        find_dialect(ServerClient(server.url), MODEL, template)
    assert "tokens where" in caught.value.cause


class Silent(FakeServer):
    """Does not say how many tokens it has read; an Ollama of `silent_after` answers says it so often."""

    silent_after = 0

    def answer(self, prompt: list[int], body: dict[str, Any], settings: dict[str, Any]) -> Reply:
        status, answer, *_ = super().answer(prompt, body, settings)
        self.silent_after -= 1
        if self.silent_after < 0:
            answer.pop("usage", None)
            answer.pop("prompt_eval_count", None)
        return status, answer


@pytest.mark.parametrize("kind", ["text", "serve", "ollama"])
def test_a_server_that_makes_tokens_of_texts_has_to_count_them(kind: str, template: ChatTemplate) -> None:
    with Silent(kind, template.tokenizer, bos=1) as server, pytest.raises(UserError, match="cannot be used") as caught:
        opened(server, template)
    assert "second BOS would go unnoticed" in caught.value.cause and "token ids" in caught.value.fix


def test_where_silence_about_tokens_is_no_fault(template: ChatTemplate) -> None:
    with Silent("vllm", template.tokenizer) as server:
        found = subject(server, template)
        assert found.text(found.ask(found.request("U"))[0]) == TEXT
    with Silent("ollama", template.tokenizer) as server:
        server.silent_after = 1  # a prompt that it still has in memory
        found = subject(server, template)
        assert found.text(found.ask(found.request("a", max_new_tokens=3))[0]) == "bcd"


@pytest.mark.parametrize("reply", [
    (403, {"message": "Missing Authentication Token"}), (401, "who?"), (307, "", {"Location": "/docs"}),
    (500, {"error": "x"}), (501, "unsupported"), (200, None),
], ids=str)  # fmt: skip
def test_what_a_server_says_of_pages_that_it_has_not_is_no_matter(reply: Reply, template: ChatTemplate) -> None:
    class Guarded(FakeServer):
        def get(self, path: str) -> Reply:
            return reply if path in ("/props", "/api/version") else super().get(path)

    with Guarded("vllm", template.tokenizer) as server:
        found = subject(server, template)
        assert found.text(found.ask(found.request("U"))[0]) == TEXT


def test_a_page_that_is_not_json_is_no_sign_of_anything(
    template: ChatTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(self: ServerClient, path: str) -> Any:
        raise Failed("the answer is not JSON")

    monkeypatch.setattr(ServerClient, "get", get)
    with FakeServer("vllm", template.tokenizer) as server:
        assert isinstance(find_dialect(ServerClient(server.url), MODEL, template), TokenDialect)


def test_a_prompt_that_reads_back_otherwise_is_an_error_of_its_own(template: ChatTemplate) -> None:
    """A lone byte of a character has no text; a server that wants texts can never be sent it."""
    with FakeServer("text", template.tokenizer) as server:
        found = subject(server, template)
        half = replace(found.request("a", max_new_tokens=2), prompt_ids=found.ids("é")[:1])
        bad, good = found.ask(half, found.request("a", max_new_tokens=2))
    assert bad.finish_reason == "error" and "cannot be sent as text" in bad.error
    assert found.text(good) == "bc"


def test_everything_that_changes_a_text_is_said(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template)
        found.ask(found.request("D", seed=2**62 + 1, temperature=0.7, top_p=0.9, max_new_tokens=3))
        body = server.bodies[-1]
    assert body["prompt"] == [template.tokenizer.bos_token_id, *found.ids("D")]
    expected = {"seed": 2**62 + 1, "temperature": 0.7, "top_p": 0.9, "max_tokens": 3, "top_k": -1, "min_p": 0.0}
    expected |= {"repetition_penalty": 1.0, "ignore_eos": True, "model": "chain", "add_special_tokens": False}
    assert expected.items() <= body.items()


def test_another_model_s_server_is_noticed(template: ChatTemplate) -> None:
    def script(body: dict[str, Any]) -> Reply | None:
        choice = {"text": "Guten Tag", "token_ids": [1, 2, 3], "finish_reason": "stop"}
        return 200, {"choices": [choice], "usage": {"prompt_tokens": len(body["prompt"])}}

    with (
        FakeServer("vllm", template.tokenizer, names=None, script=script) as server,
        pytest.raises(UserError, match="runs another model than chain"),
    ):
        opened(server, template)


def test_the_model_s_name_on_the_server(template: ChatTemplate) -> None:
    tokenizer = template.tokenizer
    several = ("one", "two", "chain:latest")
    for names, settings, sent in (
        (("chain",), {}, "chain"),
        (("other",), {"url": "http://its-own"}, "other"),
        (several, {}, "chain:latest"),
        (("one", "two"), {"served_as": "two"}, "two"),
        (None, {}, None),
        ((), {}, None),
    ):
        with FakeServer("vllm", tokenizer, names=names) as server:
            find_dialect(ServerClient(server.url), ModelConfig(path="chain", **settings), template)
            assert server.bodies[-1].get("model") == sent
    for names in (("one", "two"), ("other",)):
        with FakeServer("vllm", tokenizer, names=names) as server, pytest.raises(UserError, match="no model called"):
            find_dialect(ServerClient(server.url), MODEL, template)


# The key


def with_key(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> EngineConfig:
    monkeypatch.setenv("MY_KEY", KEY)
    return EngineConfig(api_key_env="MY_KEY", **settings)


def test_the_key_is_sent_to_the_server_and_never_shown(template: ChatTemplate, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("vllm", template.tokenizer, key=KEY) as server:
        config = with_key(monkeypatch, url=server.url)
        engine = open_server(MODEL, config, template, wait=0)
        assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(engine) + repr(vars(engine)) + repr(config)
        server.script = lambda body: (400, {"error": {"message": f"your key {KEY} has no credit"}})
        found = Subject(engine, template.tokenizer)
        assert found.ask(found.request("a"))[0].error == "status 400: your key *** has no credit"
        server.script, server.key = None, "another"
        with pytest.raises(UserError) as caught:
            found.ask(found.request("a"))
        assert KEY not in str(caught.value) and "does not accept the key" in caught.value.problem


def test_a_redirect_is_not_followed(template: ChatTemplate, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("vllm", template.tokenizer) as thief, FakeServer("vllm", template.tokenizer, key=KEY) as server:
        config = with_key(monkeypatch, url=server.url)
        found = Subject(open_server(MODEL, config, template, wait=0), template.tokenizer)
        for status in (301, 302, 307, 308):
            server.script = lambda body, status=status: (status, "", {"Location": thief.url + "/v1/completions"})
            with pytest.raises(UserError, match="redirects requests"):
                found.ask(found.request("a"))
        assert thief.bodies == []


def test_neither_netrc_nor_proxies_are_asked(
    template: ChatTemplate, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with FakeServer("vllm", template.tokenizer) as proxy, FakeServer("vllm", template.tokenizer, key=KEY) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "")
        found = Subject(open_server(MODEL, with_key(monkeypatch, url=server.url), template, wait=0), template.tokenizer)
        assert found.text(found.ask(found.request("U"))[0]) == TEXT
        assert proxy.bodies == [] and {h["Authorization"] for h in server.headers} == {f"Bearer {KEY}"}


def test_each_key_goes_to_its_own_server(template: ChatTemplate, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        config = with_key(monkeypatch, url="http://127.0.0.1:9")
        open_server(ModelConfig(path="chain", url=server.url), config, template, wait=0)
        assert not any("Authorization" in headers for headers in server.headers)


def test_a_key_that_is_not_set_stops_before_anything_is_sent(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        with pytest.raises(UserError, match="key is missing"):
            opened(server, template, api_key_env="SURELY_NOT_SET")
        assert server.bodies == []


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-one\u2019two", "sk one", "sk-\x7f"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(
    key: str, template: ChatTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with FakeServer("vllm", template.tokenizer) as server:
        with pytest.raises(UserError, match="key cannot be sent") as caught:
            opened(server, template, api_key_env="MY_KEY")
        assert server.bodies == [] and "sk" not in str(caught.value)
        monkeypatch.setenv("MY_KEY", f"{KEY}\n")
        opened(server, template, api_key_env="MY_KEY")
        assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"


def test_a_request_that_cannot_be_sent_does_not_show_its_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_client, "_key", lambda variable: "sk-one\nsk-two")
    with pytest.raises(Rejected, match=r"^the request could not be sent \(InvalidHeader\)$"):
        ServerClient("http://127.0.0.1:9").get("/")


@pytest.mark.parametrize("key", ["sk-live-0123456789", "012345abc", "my key", "${MY_KEY}", "{k: sk-live}", "12345678"])
def test_a_key_in_place_of_its_variable_s_name_is_refused_unseen(key: str) -> None:
    for place in ("engine.api_key_env", "models.generator"):
        value = key if place.startswith("engine") else f"{{path: x, api_key_env: '{key}'}}"
        with pytest.raises(UserError, match="api_key_env' has an invalid value") as caught:
            load_config(overrides=[f"{place}={value}"])
        assert key not in str(caught.value) and "sk-live" not in str(caught.value)
    with pytest.raises(ValidationError) as direct:
        EngineConfig(api_key_env=key + "!")
    assert key not in str(direct.value)


def test_a_key_in_place_of_its_variable_s_name_that_looks_like_one(template: ChatTemplate) -> None:
    with pytest.raises(UserError, match="key is missing") as caught:
        ServerClient("http://127.0.0.1:9", api_key_env="sk_live_0123456789")
    assert "sk_live" not in str(caught.value)


# When things go wrong


def counting(script: Callable[[str, int], Reply | None], tokenizer: Any) -> Callable[[dict[str, Any]], Reply | None]:
    """A script that is told the prompt's text and how often it has come."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def run(body: dict[str, Any]) -> Reply | None:
        text = tokenizer.decode(body["prompt"], skip_special_tokens=True)
        if "sea" in text:  # the engine looks whether the server is in order
            return None
        with lock:
            seen[text] += 1
            count = seen[text]
        return script(text, count)

    run.seen = seen  # type: ignore[attr-defined]
    return run


def letters(found: Subject, count: int = 40) -> list[Any]:
    return [found.request(f"{'x' * k}a", max_new_tokens=3) for k in range(count)]


ABORTED = (200, {"choices": [{"text": "x", "token_ids": [], "finish_reason": "abort"}]})


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        (lambda text, count: (500, "broken") if count < 3 else None, 3),
        (lambda text, count: (429, "slow down", {"Retry-After": "0"}) if count < 9 else None, 9),
        (lambda text, count: (503, {"error": {"message": "Loading model"}}) if count < 4 else None, 4),
        (lambda text, count: (502, "gateway") if count < 4 else None, 4),
        (lambda text, count: (200, "no choices") if count < 3 else None, 3),
        (lambda text, count: ABORTED if count < 3 else None, 3),
    ],
    ids=["500", "429", "503", "502", "no choices", "aborted"],
)  # fmt: skip
def test_passing_troubles_pass(script: Any, asked: int, template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template)
        server.script = counting(script, template.tokenizer)
        assert [found.text(c) for c in found.ask(*letters(found))] == ["bcd"] * 40
        assert set(server.script.seen.values()) == {asked}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("reply", "attempts", "word"),
    [((500, "broken"), 3, "given up after 3 attempts"), ((400, {"detail": "too long"}), 1, "too long")],
    ids=["500", "400"],
)
def test_a_request_that_always_fails_is_recorded_and_skipped(
    reply: Reply, attempts: int, word: str, template: ChatTemplate
) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template)
        server.script = counting(lambda text, count: reply if text == "xxxa" else None, template.tokenizer)
        seen: list[int] = []
        got = found.engine.generate(letters(found), seen.append)
        assert [c.finish_reason for c in got] == ["length"] * 3 + ["error"] + ["length"] * 36 and sum(seen) == 40
        assert word in got[3].error and got[3].token_ids == ()
        assert server.script.seen["xxxa"] == attempts  # type: ignore[attr-defined]


def test_a_hanging_request_is_given_up(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template, timeout=1.0, max_retries=1)
        server.script = counting(lambda text, count: time.sleep(2.5) if text == "xa" else None, template.tokenizer)
        got = found.ask(*letters(found, 6))
        assert [c.finish_reason for c in got] == ["length", "error", *["length"] * 4]
        assert "no answer within" in got[1].error


class Mortal:
    """A server that dies when a request says so, and comes back on the same port after a while."""

    def __init__(self, template: ChatTemplate, deadly: Callable[[str, int], bool], away: float) -> None:
        self.deaths, self._deadly, self._away = 0, deadly, away
        self._lock = threading.Lock()
        self._script = counting(self._judge, template.tokenizer)
        self._make = partial(FakeServer, "vllm", template.tokenizer)
        self.server = self._make()
        self._revivals: list[threading.Thread] = []

    def arm(self) -> None:
        self.server.script = self._script

    def _judge(self, text: str, count: int) -> Reply | None:
        with self._lock:
            current = self.server
            if self._deadly(text, count):
                self.deaths += 1
                thread = threading.Thread(target=self._replace, args=(current,))
                self._revivals.append(thread)
                thread.start()
                raise Die
        time.sleep(0.005)
        return None

    def _replace(self, dead: FakeServer) -> None:
        dead.script = lambda body: (_ for _ in ()).throw(Die())  # those in flight are lost as well
        dead.stop()
        time.sleep(self._away)
        self.server = self._make(port=dead.port)
        self.arm()

    def stop(self) -> None:
        for thread in self._revivals:
            thread.join()
        self.server.stop()


def test_a_server_that_dies_and_returns_is_continued(template: ChatTemplate) -> None:
    mortal = Mortal(template, lambda text, count: text == "xxxxxxxa" and count == 1, away=0.5)
    found = subject(mortal.server, template)
    mortal.arm()
    try:
        assert [found.text(c) for c in found.ask(*letters(found, 60))] == ["bcd"] * 60
        assert mortal.deaths == 1
    finally:
        mortal.stop()


def test_a_request_that_kills_the_server_takes_no_other_with_it(template: ChatTemplate) -> None:
    mortal = Mortal(template, lambda text, count: text == "xxxa", away=0.1)
    found = subject(mortal.server, template)
    mortal.arm()
    try:
        got = found.ask(*letters(found, 40))
    finally:
        mortal.stop()
    assert [c.finish_reason for c in got] == ["length"] * 3 + ["error"] + ["length"] * 36
    # Side by side, alone, and two more attempts; the first may be its own, or another's that was on the wire with it.
    assert "connection broke" in got[3].error and 3 <= mortal.deaths <= 4


def test_a_server_that_stays_away_ends_the_run(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template, outage=0.3)
    start = time.monotonic()
    with pytest.raises(RunError, match="has been unavailable") as caught:
        found.ask(*letters(found))
    assert "run the same command again" in caught.value.fix and time.monotonic() - start < 3


def test_an_answer_that_cannot_be_read_is_one_error(template: ChatTemplate) -> None:
    """Half of a surrogate pair is read as the sign for what is no character; anything else is that answer's trouble."""
    with FakeServer("text", template.tokenizer) as server:
        found = subject(server, template)

        def script(body: dict[str, Any]) -> Reply | None:
            usage = {"prompt_tokens": len(template.tokenizer.encode(body["prompt"], add_special_tokens=False))}
            text = template.tokenizer.decode(template.tokenizer.encode(body["prompt"]), skip_special_tokens=True)
            half = [{"text": "b \ud83d", "finish_reason": "stop"}]
            return {"xa": (200, {"choices": half, "usage": usage}), "xxa": (200, {"choices": half, "usage": [1]})}.get(
                text
            )

        server.script = script
        good, half, odd, last = found.ask(*letters(found, 4))
    assert (found.text(good), found.text(last)) == ("bcd", "bcd")
    assert found.text(half) == "b ?" and half.finish_reason == "stop"
    assert odd.finish_reason == "error" and "usage is a list" in odd.error


def test_no_server_at_all(template: ChatTemplate) -> None:
    config = EngineConfig(url="http://127.0.0.1:9")
    with pytest.raises(RunError, match="does not answer"):
        open_server(MODEL, config, template, wait=0)


def test_a_server_that_is_still_starting_is_waited_for(
    template: ChatTemplate, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeServer("vllm", template.tokenizer) as first:
        port = first.port
    revived: list[FakeServer] = []
    timer = threading.Timer(0.5, lambda: revived.append(FakeServer("vllm", template.tokenizer, port=port)))
    timer.start()
    try:
        engine = open_server(MODEL, EngineConfig(url=f"http://127.0.0.1:{port}"), template, wait=20)
        assert engine.capabilities.seeded
        (line,) = caplog.messages
        assert line == f"Waiting up to 20 s for the server http://127.0.0.1:{port} (it cannot be reached)."
    finally:
        timer.join()
        revived[0].stop()


def test_a_server_that_refuses_everything_ends_the_run(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template)
        server.script = lambda body: (400, {"detail": "no such model"})
        with pytest.raises(RunError, match="has not served any of 16") as caught:
            found.ask(*letters(found))
        assert "no such model" in caught.value.cause


def test_an_interrupt_does_not_wait_for_answers(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template)
        server.script = counting(lambda text, count: time.sleep(2) if text != "a" else None, template.tokenizer)

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            found.engine.generate(letters(found, 8), interrupt)
        assert time.monotonic() - start < 1.5


def test_servers_without_scores_say_so(template: ChatTemplate) -> None:
    with FakeServer("serve", template.tokenizer) as server:
        engine = opened(server, template)
        assert not engine.capabilities.scores
        with pytest.raises(UserError, match="no log-probabilities"):
            engine.loglikelihood([((1,), (2,))])


def test_a_server_that_is_no_completions_server(template: ChatTemplate) -> None:
    with FakeServer("llamacpp", template.tokenizer) as server:
        server.get = lambda path: (404, "nothing here")  # type: ignore[method-assign]
        with pytest.raises(UserError, match="cannot be used") as caught:
            opened(server, template)
        assert caught.value.cause == "status 404: Not Found"


def test_answers_are_cut_at_stop_ids_and_limits(template: ChatTemplate) -> None:
    """Whatever a server makes of stop ids and limits, the completion is what was asked for."""

    class Careless:
        title = "careless"
        capabilities = LlamaCppDialect.capabilities

        def complete(self, request: Any) -> Any:
            from synthetic_instruction_tuner.engines.server.dialects import completion

            return completion(request, [5, 6, 7, 8, 9], "length")

    dialect: Dialect = Careless()
    engine = ServerEngine(dialect, where="nowhere", vocabulary=1000)
    asked = Subject(engine, template.tokenizer).request("a", max_new_tokens=3)
    cut, stopped = engine.generate([replace(asked, stop_ids=(9,)), replace(asked, stop_ids=(7,))])
    assert (cut.token_ids, cut.finish_reason) == ((5, 6, 7), "length")
    assert (stopped.token_ids, stopped.finish_reason) == ((5, 6), "stop")
    assert letters_after("y", 2) == "za"


# A server that is away


class Kept:
    """Finished texts in memory; see `FinishedTexts`."""

    def __init__(self) -> None:
        self.texts: dict[Request, Completion] = {}
        self.saved = 0

    def find(self, request: Request) -> Completion | None:
        return self.texts.get(request)

    def add(self, request: Request, completion: Completion) -> None:
        self.texts[request] = completion

    def save(self) -> None:
        self.saved += 1


def away_after(answers: int, reply: Callable[[], Reply], *, until: int) -> Callable[[dict[str, Any]], Reply | None]:
    """A script that serves some requests, and then for some time none, whatever is asked."""
    asked = itertools.count()

    def run(body: dict[str, Any]) -> Reply | None:
        return reply() if answers <= next(asked) < until else None

    return run


def die() -> Reply:
    raise Die


def cut() -> Reply:
    raise Cut


REPLIES: dict[str, Callable[[], Reply]] = {
    "closes": die,
    "cuts": cut,
    "500": lambda: (500, "EngineDeadError"),
    "503": lambda: (503, "loading"),
    "502": lambda: (502, "bad gateway"),
    "no choices": lambda: (200, {"choices": []}),
}


@pytest.mark.parametrize("reply", REPLIES)
def test_a_server_that_is_away_for_a_while_costs_no_text(
    reply: str, template: ChatTemplate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "GRACE", 0.0)
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template, max_retries=1, concurrency=4, outage=60.0)
        server.script = away_after(10, REPLIES[reply], until=60)
        assert [found.text(c) for c in found.ask(*letters(found))] == ["bcd"] * 40
    first, *_, last = caplog.messages
    assert "has been away for" in first and "waits for it, up to 60 s" in first
    assert f"The server {server.url} is back after" in last and len(caplog.messages) == len(set(caplog.messages))


def test_what_is_finished_is_kept_and_not_asked_again(template: ChatTemplate) -> None:
    kept = Kept()
    requests = [Subject(None, template.tokenizer).request(f"{'x' * k}a", max_new_tokens=3) for k in range(40)]  # type: ignore[arg-type]
    with FakeServer("vllm", template.tokenizer) as server:
        config = EngineConfig(url=server.url, concurrency=4, max_retries=1, outage=0.1)
        server.script = away_after(20, die, until=10**6)
        with pytest.raises(RunError, match="has been unavailable"):
            open_server(MODEL, config, template, wait=0, finished=kept).generate(requests)
        finished = set(kept.texts)
        assert 5 <= len(finished) < 40
        server.script = None
        engine = open_server(MODEL, config, template, wait=0, finished=kept)
        server.bodies.clear()
        seen: list[int] = []
        again = engine.generate(requests, seen.append)
        whole = open_server(MODEL, config, template, wait=0).generate(requests)
        asked = {tuple(body["prompt"]) for body in server.bodies[: 40 - len(finished)]}
    assert again == whole and sum(seen) == 40
    assert asked == {request.prompt_ids for request in requests if request not in finished}


@pytest.mark.parametrize("gone", [True, False], ids=["after an outage", "in between"])
def test_another_model_in_the_server_s_place_ends_the_run(gone: bool, template: ChatTemplate) -> None:
    kept = Kept()
    with FakeServer("vllm", template.tokenizer, names=("chain",)) as server:
        config = EngineConfig(url=server.url, concurrency=4, outage=60.0)
        engine = open_server(MODEL, config, template, wait=0, finished=kept)
        found = Subject(engine, template.tokenizer)
        asked = itertools.count()

        def script(body: dict[str, Any]) -> Reply | None:
            number = next(asked)
            if number == 10:
                server.names = ("other",)
                if gone:
                    raise Die
            return (404, {"error": "no such model"}) if number > 10 else None

        server.script = script
        with pytest.raises(UserError, match="has no model called chain") as caught:
            found.ask(*letters(found))
    assert "it has other" in caught.value.cause and 5 <= len(kept.texts) <= 12


def test_a_request_that_the_server_always_refuses_is_skipped(template: ChatTemplate) -> None:
    with FakeServer("vllm", template.tokenizer) as server:
        found = subject(server, template, outage=0.2)
        server.script = counting(lambda text, count: (503, "no") if text == "xxxa" else None, template.tokenizer)
        got = found.ask(*letters(found, 10))
    assert [c.finish_reason for c in got] == ["length"] * 3 + ["error"] + ["length"] * 6
    assert "status 503" in got[3].error
