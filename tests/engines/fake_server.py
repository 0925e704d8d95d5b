"""Servers of several kinds that run the chain model in plain Python, and misbehave when told to."""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

from chain_model import next_tokens

Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class Die(Exception):
    """Raised by a script to break the connection without an answer."""


class Cut(Die):
    """Raised by a script to break the connection in the middle of an answer."""


class FakeServer:
    """A server on loopback. `script` is asked first for each completion and may answer in the server's place.

    A reply is a status, a body (JSON, or bytes as they are) and headers.

    Args:
        kind: ``vllm``, ``text`` (OpenAI completions that take texts only), ``serve`` (the same with generation
            configurations, as `transformers serve`), ``llamacpp`` or ``ollama``.
        tokenizer: the chain model's.
        bos: how many BOS the server puts before a text.
        names: the models that it lists; None: it lists none.
        key: wanted in the header, when not empty.
        port: 0 for any free one.
        chain: it runs the chain model; otherwise `answer` is overridden.
    """

    def __init__(
        self,
        kind: str,
        tokenizer: Any,
        *,
        bos: int = 0,
        names: tuple[str, ...] | None = ("chain",),
        key: str = "",
        script: Callable[[dict[str, Any]], Reply | None] | None = None,
        port: int = 0,
        chain: bool = True,
    ) -> None:
        self.kind, self.tokenizer, self.bos, self.names, self.key = kind, tokenizer, bos, names, key
        self.script = script
        if chain:
            self.sure, self.drawn = next_tokens(tokenizer)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send(server.get(self.path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.bodies.append(body)
                    server.headers.append(dict(self.headers))
                if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                    return self.send((401, {"error": {"message": f"wrong key {self.headers.get('Authorization')}"}}))
                try:
                    self.send((server.script and server.script(body)) or server.post(self.path, body))
                except Die as death:
                    if isinstance(death, Cut):
                        self.send_response(200)
                        self.send_header("Content-Length", "1000")
                        self.end_headers()
                        self.wfile.write(b'{"choices": [{"text": "b')
                    self.close_connection = True
                    self.connection.close()

            def send(self, reply: Reply) -> None:
                text = reply[1] if isinstance(reply[1], bytes) else json.dumps(reply[1]).encode()
                self.send_response(reply[0])
                headers = {"Content-Length": str(len(text))} | (reply[2] if len(reply) > 2 else {})
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # a client that went away

        self._http = Server(("127.0.0.1", port), Handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the server and frees its port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get(self, path: str) -> Reply:
        if path == "/v1/models" and self.names is not None:
            return 200, {"data": [{"id": name} for name in self.names]}
        if path == "/props" and self.kind == "llamacpp":
            return 200, {"default_generation_settings": {}}
        if path == "/api/version" and self.kind == "ollama":
            return 200, {"version": "0.1"}
        return 404, {"detail": "Not Found"}

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        paths = {"llamacpp": "/completion", "ollama": "/api/generate"}
        if path != paths.get(self.kind, "/v1/completions"):
            return 404, {"detail": "Not Found"}
        prompt, tokenizer = body["prompt"], self.tokenizer
        if isinstance(prompt, str):
            prompt = [tokenizer.bos_token_id] * self.bos + tokenizer.encode(prompt, add_special_tokens=False)
        elif self.kind in ("text", "serve", "ollama"):
            return 400, {"detail": "prompt must be a string."}
        if self.kind == "serve" and (wrong := {"stop_token_ids", "top_k"} & body.keys()):
            return 422, {"detail": f"Unexpected fields in the request: {wrong}"}
        return self.answer(prompt, body, body.get("options", body))

    def answer(self, prompt: list[int], body: dict[str, Any], settings: dict[str, Any]) -> Reply:
        limit = settings.get("max_tokens") or settings.get("n_predict") or settings["num_predict"]
        stops = {self.tokenizer.eos_token_id}
        if self.kind == "vllm":
            stops = set(body["stop_token_ids"]) | (set() if body.get("ignore_eos") else stops)
        if self.kind == "serve" and "generation_config" in body:
            try:
                stops = set(json.loads(body["generation_config"])["eos_token_id"] or ())
            except ValueError:
                return 500, "Internal Server Error"
        ids, ended = self.write(prompt, limit, stops, settings)
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        reason = "stop" if ended else "length"
        if self.kind == "llamacpp":
            ids = ids if ended else ids[:limit]
            stop_type = "eos" if ended else "limit"
            return 200, {"content": text, "tokens": ids, "stop_type": stop_type, "tokens_evaluated": len(prompt)}
        if self.kind == "ollama":
            return 200, {"response": text, "done_reason": reason, "prompt_eval_count": len(prompt)}
        choice: dict[str, Any] = {"text": text, "finish_reason": reason}
        if self.kind == "vllm" and body.get("return_token_ids"):
            choice["token_ids"] = ids
        if self.kind == "vllm" and body.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = [None, *(self.score(a, b) for a, b in pairwise(prompt))]
        return 200, {"choices": [choice], "usage": {"prompt_tokens": len(prompt)}}

    def write(self, prompt: list[int], limit: int, stops: set[int], settings: dict[str, Any]) -> tuple[list[int], bool]:
        rng, token, ids = random.Random(settings.get("seed")), prompt[-1], []
        for _ in range(limit):
            token = self.draw(token, rng, settings["temperature"], settings["top_p"])
            ids.append(token)
            if token in stops:
                return ids, True
        return ids, False

    def draw(self, token: int, rng: random.Random, temperature: float, top_p: float) -> int:
        if token not in self.drawn:
            return self.sure[token]
        successors = self.drawn[token]
        if temperature == 0:
            return max(successors, key=lambda t: successors[t])
        highest = max(successors.values())
        weights = {t: math.exp((logit - highest) / temperature) for t, logit in successors.items()}
        total, kept, mass = sum(weights.values()), {}, 0.0
        for t, weight in sorted(weights.items(), key=lambda item: -item[1]):
            if mass < top_p * total:
                kept[t] = weight
            mass += weight
        return rng.choices(list(kept), list(kept.values()))[0]

    def score(self, token: int, successor: int) -> dict[str, Any]:
        logits = self.drawn.get(token, {self.sure[token]: 30.0})
        total = sum(math.exp(v) for v in logits.values())
        better = sum(v > logits.get(successor, 0.0) for v in logits.values())
        return {str(successor): {"logprob": logits.get(successor, 0.0) - math.log(total), "rank": better + 1}}
