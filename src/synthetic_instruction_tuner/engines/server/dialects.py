"""How to ask each kind of server for a completion of exactly these token ids, and how to read its answer.

Servers that call themselves OpenAI-compatible differ in three things: whether a prompt can be token ids, the names of
the sampling settings whose defaults would silently apply (top_k, min_p, repetition penalty), and whether the answer
contains token ids. Answers also say how many prompt tokens the server read, which must be the number that was sent: it
reveals a second BOS, a template that the server adds, and a different tokenizer. A server that receives text must
report it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Request
from synthetic_instruction_tuner.engines.server.client import Rejected, ServerClient
from synthetic_instruction_tuner.engines.server.replies import (
    compare_prompt_tokens,
    completion,
    count_of,
    first_choice,
    object_of,
    prompt_scores,
    prompt_tokens,
    text_ids,
    token_ids,
)

_CONTEXT = 4096  # Ollama loads the model again when the context changes, so it changes in large steps


class Dialect(Protocol):
    """One way to talk to a server.

    Attributes:
        title: its name in messages.
        capabilities: what a server of this kind guarantees.
    """

    title: str
    capabilities: Capabilities

    def complete(self, request: Request) -> Completion:
        """Returns the server's completion; raises the same errors as `ServerClient.post`."""
        ...


class TokenDialect:
    """`/v1/completions` with a list of token ids as the prompt: vLLM, SGLang and others.

    vLLM also returns token ids and accepts stop ids, so its completions equal the in-process engine's.
    """

    title = "token ids, OpenAI completions"

    def __init__(self, client: ServerClient, model: str | None, tokenizer: Any, *, returns_ids: bool = True) -> None:
        self._client, self.model, self._tokenizer, self._returns_ids = client, model, tokenizer, returns_ids
        self.capabilities = Capabilities(
            seeded=returns_ids, batch_free=False, exact_stops=returns_ids, scores=returns_ids, exact_ids=returns_ids
        )

    def complete(self, request: Request) -> Completion:
        """Returns the server's completion."""
        answer = self._client.post("/v1/completions", self.body(request))
        choice = first_choice(answer)
        compare_prompt_tokens(prompt_tokens(answer), len(request.prompt_ids))
        sampled = choice.get("token_ids")
        ids = text_ids(self._tokenizer, choice.get("text")) if sampled is None else token_ids(sampled, "token_ids")
        return completion(request, ids, choice.get("finish_reason"))

    def score(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[float, bool]:
        """Returns the continuation's log-probability in nats, and whether every token of it is the likeliest."""
        ids = [*context, *continuation]
        request = Request(tuple(ids), 0, 1, (), temperature=0.0)
        answer = self._client.post("/v1/completions", self.body(request) | {"prompt_logprobs": 1})
        return prompt_scores(first_choice(answer).get("prompt_logprobs"), ids, len(context))

    def body(self, request: Request) -> dict[str, Any]:
        """Returns the request's body. It sets everything: a server takes what is missing from the model's files."""
        body = {
            "prompt": list(request.prompt_ids), "max_tokens": request.max_new_tokens, "seed": request.seed,
            "temperature": request.temperature, "top_p": request.top_p if request.temperature > 0 else 1.0,
            "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "stop_token_ids": list(request.stop_ids),
            "add_special_tokens": False, "return_token_ids": True, "n": 1, "stream": False,
        }  # fmt: skip
        if self._returns_ids:
            body["ignore_eos"] = True  # only the request's own stop ids end it
        return body | ({"model": self.model} if self.model else {})


class LlamaCppDialect:
    """llama.cpp's own `/completion`: token ids in and, with `return_tokens`, out."""

    title = "token ids, llama.cpp"
    capabilities = Capabilities(seeded=True, batch_free=False, exact_stops=True, scores=False)

    def __init__(self, client: ServerClient, model: str | None = None) -> None:
        self._client, self._model = client, model

    def complete(self, request: Request) -> Completion:
        """Returns the server's completion, cut at the first stop id: the server itself only stops at its end tokens."""
        body = {
            "prompt": list(request.prompt_ids), "n_predict": request.max_new_tokens, "return_tokens": True,
            # top_p applies after the temperature, as in the other engines; llama.cpp's default order differs.
            "samplers": ["temperature", "top_p"], "temperature": request.temperature, "top_p": request.top_p,
            "repeat_penalty": 1.0, "seed": request.seed % (2**32 - 1),  # 2**32 - 1 means a random seed
            "cache_prompt": False, "stream": False,
        }  # fmt: skip
        answer = self._client.post("/completion", body | ({"model": self._model} if self._model else {}))
        ids = token_ids(object_of(answer).get("tokens"), "tokens")
        compare_prompt_tokens(count_of(answer.get("tokens_evaluated"), "tokens_evaluated"), len(request.prompt_ids))
        ended = answer.get("stop_type")
        reasons = {"eos": "stop", "word": "stop", "limit": "length"}
        return completion(request, ids, reasons.get(ended, ended) if isinstance(ended, str) else ended)


class TextDialect:
    """`/v1/completions` with a text as the prompt: `transformers serve`, llama-cpp-python and others.

    Args:
        client, model: the server, and the model's name there.
        tokenizer: the model's own.
        drops_bos: the server adds the BOS itself, so the text omits it.
        generation_config: the server accepts a generation configuration (`transformers serve`), including stop ids.
    """

    title = "text, OpenAI completions"

    def __init__(
        self, client: ServerClient, model: str | None, tokenizer: Any, *, drops_bos: bool, generation_config: bool
    ) -> None:
        self._client, self._model, self._tokenizer = client, model, tokenizer
        self._drops_bos, self._generation_config = drops_bos, generation_config
        # Such servers draw from one random stream for all requests, or do not document it.
        self.capabilities = Capabilities(
            seeded=False, batch_free=False, exact_stops=generation_config, scores=False, exact_ids=False
        )

    def complete(self, request: Request) -> Completion:
        """Returns the server's completion."""
        answer = self._client.post("/v1/completions", self.body(request))
        choice = first_choice(answer)
        compare_prompt_tokens(prompt_tokens(answer), len(request.prompt_ids), required=True)
        return completion(request, text_ids(self._tokenizer, choice.get("text")), choice.get("finish_reason"))

    def body(self, request: Request) -> dict[str, Any]:
        """Returns the request's body."""
        body: dict[str, Any] = {
            "prompt": prompt_text(self._tokenizer, request.prompt_ids, self._drops_bos),
            "max_tokens": request.max_new_tokens, "temperature": request.temperature, "top_p": request.top_p,
            "seed": request.seed % 2**31, "stream": False,
        }  # fmt: skip
        if self._generation_config:
            body["generation_config"] = self._generation(request)
        elif stops := stop_texts(self._tokenizer, request.stop_ids):
            body["stop"] = stops
        return body | ({"model": self._model} if self._model else {})

    def _generation(self, request: Request) -> str:
        """Returns the generation configuration; without it the model's own top_k and penalties would apply."""
        greedy = request.temperature <= 0
        sampling = {} if greedy else {"temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
        pad = self._tokenizer.pad_token_id
        ends = {"eos_token_id": list(request.stop_ids) or None, "pad_token_id": pad, "use_cache": True}
        return json.dumps({"do_sample": not greedy, "max_new_tokens": request.max_new_tokens, **sampling, **ends})


class OllamaDialect:
    """Ollama's own `/api/generate` with `raw`: its OpenAI endpoint would apply a template to the prompt.

    It may omit the number of prompt tokens if it still has the prompt in memory. So it must report the number until it
    was right once; afterwards it is checked whenever it is there.
    """

    title = "text, Ollama"
    capabilities = Capabilities(seeded=True, batch_free=False, exact_stops=False, scores=False, exact_ids=False)

    def __init__(self, client: ServerClient, model: str | None, tokenizer: Any, *, drops_bos: bool) -> None:
        self._client, self._model, self._tokenizer, self._drops_bos = client, model, tokenizer, drops_bos
        self._proven = False

    def complete(self, request: Request) -> Completion:
        """Returns the server's completion."""
        options = {
            "num_predict": request.max_new_tokens, "temperature": request.temperature, "top_p": request.top_p,
            "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "seed": request.seed % 2**31,
            "num_ctx": _CONTEXT * -(-(len(request.prompt_ids) + request.max_new_tokens) // _CONTEXT),
            "stop": stop_texts(self._tokenizer, request.stop_ids),
        }  # fmt: skip
        text = prompt_text(self._tokenizer, request.prompt_ids, self._drops_bos)
        body = {"model": self._model, "prompt": text, "raw": True, "stream": False, "options": options}
        answer = self._client.post("/api/generate", body)
        ids = text_ids(self._tokenizer, object_of(answer).get("response"))
        read = count_of(answer.get("prompt_eval_count"), "prompt_eval_count")
        compare_prompt_tokens(read, len(request.prompt_ids), required=not self._proven)
        self._proven = True
        return completion(request, ids, answer.get("done_reason"))


def prompt_text(tokenizer: Any, ids: Sequence[int], drops_bos: bool) -> str:
    """Returns the text that is tokenized to exactly these ids; with `drops_bos`, without the leading BOS."""
    shown = list(ids[1:]) if drops_bos and ids[:1] == (tokenizer.bos_token_id,) else list(ids)
    text = str(tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    if tokenizer.encode(text, add_special_tokens=False) != shown:
        raise Rejected("its prompt cannot be sent as text: the text would be read as other tokens")
    return text


def stop_texts(tokenizer: Any, stop_ids: Sequence[int]) -> list[str]:
    """Returns the stop tokens as texts: at most four, as the protocol allows, the end of text last."""
    ordered = sorted(stop_ids, key=lambda token: (token == tokenizer.eos_token_id, token))
    texts = [str(tokenizer.decode([token], skip_special_tokens=False)) for token in ordered]
    return [text for text in texts if text.strip()][:4]
