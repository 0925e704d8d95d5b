"""A password or a key in a web address is refused wherever an address can stand, and shown nowhere."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, load_config, parse_config
from synthetic_instruction_tuner.engines.server.client import ServerClient
from synthetic_instruction_tuner.errors import RunError, SitError, UserError
from synthetic_instruction_tuner.web_addresses import address_fault, holds_secret, without_secrets

SECRET = "s3cr3tWORD"
BAD = [
    f"http://user:{SECRET}@host:8000/v1",
    f"https://:{SECRET}@host/v1",
    f"https://{SECRET}@host/v1",
    f"http://user:{SECRET}/more@host/v1",
    f"http://user:{SECRET}#more@host/v1",
    f"http://user:a@{SECRET}@host/v1",
    f"HTTPS://user:{SECRET}@[::1]:8000",
    f"http://host/v1?api_key={SECRET}",
    f"http://host/v1?a=b&access_token={SECRET}",
    f"http://host/v1?X-Amz-Signature={SECRET}",
    f"http://host/v1?api%5Fkey={SECRET}",
    f"http://host/v1;key={SECRET}",
    f"http://host/v1/token/{SECRET}",
    f"http://host/api_key={SECRET}/v1",
    f"http://host/v1#token={SECRET}",
    f"http://host/sk-{SECRET}/v1",
    f"https://host/hf_{SECRET}/v1",
    f"https://host/{SECRET}aB1cD2eF3gH4iJ5kL6m/v1",
    f"http:user:{SECRET}@host",
    f"//user:{SECRET}@host:8000/v1",
]
SHOWN_AS_TEXT = [f"http://user:{SECRET} and@host/v1", f"/home/me/user:{SECRET}@host:8000"]
ONLY_AS_AN_ADDRESS = [  # no address of a server, and as texts of other settings no secret
    f"http://host:99999/{SECRET}",
    f"http://host:{SECRET}",
    f"http://host/v1#{SECRET}",
    f"http://host/v1?{SECRET}",
    f"http://user:12/{SECRET}@host",
    f"user:{SECRET}@host:8000/v1",
    f"//user:{SECRET}@host/v1",
    f"http://ho st/{SECRET}",
    f"http://user:\uff20{SECRET}\u2100@host",
    f"http://[user:{SECRET}@host",
    f"http://host/{SECRET}:x@other",
    f"https://user:{SECRET}\uff20host/v1",
]
GOOD = [
    "http://127.0.0.1:8000/v1",
    "http://127.0.0.1:8000",
    "https://[::1]:8000/v1/",
    "https://api.example.com/v1/models/meta-llama/Llama-3.2-1B-Instruct-FP8-dynamic",
    "https://gateway.example.com/v1/0123456789abcdef0123456789abcdef/my-gateway/openai",
    "https://host/client/v4/accounts/9f2d/ai/run/@cf/meta/llama",
    "https://task-runner.example.com/keyboards/tokenizer/v1",
]


def refused(error: BaseException) -> str:
    """The text of an error, which must not hold the secret."""
    said = f"{error}\n{error!r}\n{error.args}"
    assert SECRET not in said
    return said


@pytest.mark.parametrize("address", BAD + ONLY_AS_AN_ADDRESS)
def test_the_address_of_a_server_holds_no_secret(address: str) -> None:
    assert address_fault(address)
    for make in (lambda: EngineConfig(url=address), lambda: ModelConfig(path="x", url=address)):
        with pytest.raises(ValidationError) as caught:
            make()
        refused(caught.value)
    with pytest.raises(UserError) as found:
        ServerClient(address)
    refused(found.value)


@pytest.mark.parametrize("address", GOOD)
def test_other_addresses_are_taken(address: str) -> None:
    assert EngineConfig(url=address).url == address and without_secrets(address) == address
    ServerClient(address)


@pytest.mark.parametrize("address", BAD + ONLY_AS_AN_ADDRESS)
@pytest.mark.parametrize("key", ["engine.url", "models.judge.url", "models.generator.url", "models.responders.0.url"])
def test_it_is_refused_on_the_command_line_and_in_files(address: str, key: str, tmp_path: Path) -> None:
    overrides = ["models.judge=nano:generator", f"{key}={address}"]
    with pytest.raises(UserError) as caught:
        load_config(overrides=overrides)
    refused(caught.value)
    section, _, rest = key.partition(".")
    nested: Any = address
    for part in reversed(rest.replace("responders.0", "judge").split(".")):
        nested = {part: nested} | ({"path": "x"} if part == "url" and section == "models" else {})
    file = tmp_path / "my.yaml"
    file.write_text(json.dumps({section: nested}))
    with pytest.raises(UserError) as caught:
        load_config(file=file)
    refused(caught.value)
    stored = load_config().model_dump(mode="json")
    stored["engine"]["url"] = address
    with pytest.raises(UserError) as caught:
        parse_config(stored)
    refused(caught.value)


@pytest.mark.parametrize("text", SHOWN_AS_TEXT)
def test_half_an_address_is_not_shown_either(text: str) -> None:
    assert SECRET not in without_secrets(f"See {text} there.")


@pytest.mark.parametrize(
    "text",
    ["// note: mail me@x.org", "see http://host:8000 or mail a@b.org", "git@github.com:a/b.git", "https://a.org/@me"],
)
def test_what_is_no_password_is_shown(text: str) -> None:
    assert without_secrets(text) == text and not holds_secret(text)


@pytest.mark.parametrize("address", BAD)
@pytest.mark.parametrize(
    "key",
    ["models.generator", "models.generator.path", "models.reward.revision", "models.students.0.chat_template",
     "models.generator.served_as", "engine.api_key_env", "engine.kind", "engine.timeout", "engine.urll",
     "filter.contamination.files", "filter.contamination.folder", "filter.refusal_phrases", "generate.topics",
     "generate.count", "models.students", "models.generator.license", "run.name"],
)  # fmt: skip
def test_no_other_setting_takes_it_or_shows_it(address: str, key: str) -> None:
    for value in (address, f"[{address}]", f"'{address}'", f"{{a: '{address}'}}", f"{{'{address}': b}}"):
        with pytest.raises(SitError) as caught:
            load_config(overrides=[f"{key}={value}"])
        refused(caught.value)


@pytest.mark.parametrize("address", BAD)
@pytest.mark.parametrize(
    "arguments",
    [["run", "{}"], ["{}"], ["--{}"], ["run", "--{}"], ["run", "--run-dir", "{}"], ["plan", "--config", "{}"],
     ["filter", "{}"], ["dedup", "{}", "-o", "x"], ["doctor", "{}"], ["chat", "{}"], ["plan", "--set", "{}"],
     ["plan", "--set", "{}=1"], ["plan", "--set", "engine.url={}"], ["plan", "--set=engine.url={}"],
     ["plan", "--set", "engine.url={}", "--set", "engine.url=http://host"], ["plan", "--profile", "{}"],
     ["status", "--run-dir={}"], ["--debug", "plan", "--set", "engine.url={}"], ["run", "--limit", "{}"]],
    ids=str,
)  # fmt: skip
def test_no_command_shows_it(
    address: str,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIT_DEBUG", "")
    with pytest.raises(SystemExit) as ended:
        app.main([part.format(address) for part in arguments])
    said = "".join(capsys.readouterr())
    assert ended.value.code == 2 and SECRET not in said and said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", BAD)
def test_what_libraries_say_is_shown_without_it(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the address of a mirror, which HF_ENDPOINT may give with a password."""

    def fails(_: list[str]) -> None:
        raise ValueError(f"401 Client Error for url: {address} (Request ID: 5)")

    for debug in ("", "1"):
        monkeypatch.setenv("SIT_DEBUG", debug)
        monkeypatch.setattr(app, "_refuse_secrets", fails)
        with pytest.raises(SystemExit) as ended:
            app.main(["plan"])
        said = "".join(capsys.readouterr())
        assert ended.value.code == 1 and SECRET not in said and "401 Client Error" in said
    error = RunError("It failed.", f"asked {address}", f"ask {address}")
    refused(error)
    assert SECRET not in "".join((error.cause, error.fix))


@given(st.text(alphabet="abAB1:/@?#&=%-_.~key", max_size=60))
def test_hiding_is_stable_and_leaves_nothing_to_hide(text: str) -> None:
    for whole in (f"http://{text}", f"see https://user:{text}@host now"):
        shown = without_secrets(whole)
        assert without_secrets(shown) == shown or holds_secret(whole)


@given(st.from_regex(r"[A-Za-z0-9!$&*+,.:=~|-]{1,20}", fullmatch=True))
def test_any_password_is_hidden(password: str) -> None:
    address = f"https://someone:<{password}>@host/v1".replace("<", "q").replace(">", "z")
    assert holds_secret(address) and address_fault(address)
    assert f"q{password}z" not in without_secrets(f"at {address}, today")


ADDRESSES = ("https://user:hush@host/x", "user:hush@host.com", "//user:hush@host/x", "https://h/x?token=hush")


@given(st.sampled_from(ADDRESSES), st.integers(0, 40), st.sampled_from("\u00ad\u200b\u200d\u2060\ufeff\u202e"))
def test_what_nobody_sees_hides_no_address(address: str, place: int, sign: str) -> None:
    text = f"data.records is {address[:place]}{sign}{address[place:]}, today"
    assert "hush" not in without_secrets(text).replace(sign, "")
    assert without_secrets(f"a{sign}b") == f"a{sign}b"


def test_long_texts_are_read_quickly() -> None:
    for text in (
        "-" * 200_000 + "@",
        "+%" * 100_000 + "a:b@c.d",
        "a.b-" * 100_000 + ":/",
        "http://" + "a:b@" * 50_000,
        "http://h?" + "key" * 100_000,
        "a:" * 200_000,
    ):
        without_secrets(text)


def test_logged_addresses_are_checked_ones(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError):
        ServerClient(BAD[0]).get("/v1/models")
    assert SECRET not in caplog.text
