"""A judge behind a local chat endpoint: a small server that speaks OpenAI's protocol and follows a script.

    python tests/scripted_judge.py PORT LOG MOST

As a program it rates answers, or compares two, by the letters of the request, writes a line per reply to LOG, and gets
a real kill -9 where more than MOST replies are wanted of it. PORT 0 is any free one; its line is
the port.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Script = Callable[[list[dict[str, str]]], Any]
"""Takes the messages; returns the reply's text, or a (status, body), or raises `Gone` to break the connection."""


class Gone(Exception):
    """Raised by a script: the connection breaks without an answer."""


class ScriptedJudge:
    """A server on loopback at `/v1/chat/completions`.

    Args:
        script: writes the replies.
        key: wanted in the header, when not empty.
        port: 0 for any free one.
        name: the model that it lists.

    Attributes:
        bodies: all requests for a completion so far; those with which the endpoint was tried out are left out.
    """

    def __init__(self, script: Script, *, key: str = "", port: int = 0, name: str = "scripted") -> None:
        self.script, self.bodies, self.probes = script, list[dict[str, Any]](), 0
        server, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = self.path == "/v1/models"
                self.send(200 if found else 404, {"data": [{"id": name}]} if found else {"error": "no such page"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/v1/chat/completions":
                    return self.send(404, {"error": {"message": "no such page"}})
                if key and self.headers.get("Authorization") != f"Bearer {key}":
                    return self.send(401, {"error": {"message": "wrong key"}})
                if body["messages"] == [{"role": "user", "content": "Say yes."}]:
                    server.probes += 1
                    return self.send(200, completion("Yes."))
                with lock:
                    server.bodies.append(body)
                try:
                    reply = server.script(body["messages"])
                except Gone:
                    self.close_connection = True
                    return self.connection.close()
                self.send(*reply if isinstance(reply, tuple) else (200, completion(reply)))

            def send(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass

        self._http = Server(("127.0.0.1", port), Handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Ends the server and frees its port."""
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> ScriptedJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def completion(text: Any, reason: str = "stop") -> dict[str, Any]:
    """An answer of the protocol."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}]}


def shown_answers(messages: list[dict[str, str]]) -> list[str]:
    """The answers in a published or made-up prompt about a first turn, in the order in which they are shown."""
    text = messages[-1]["content"]
    return re.findall(r"\[The Start of Assistant(?: [AB])?'s Answer\]\n(.*?)\n\[The End of Assistant", text, re.DOTALL)


def serve_until_killed(port: int, log: Path, most: int) -> None:
    """Serves in this process, which ends with a kill -9 when `most` replies have been given."""
    given = 0

    def rate(messages: list[dict[str, str]]) -> str:
        nonlocal given
        if given >= most:
            os.kill(os.getpid(), signal.SIGKILL)
        given += 1
        asked = hashlib.sha256(json.dumps(messages).encode()).digest()
        with log.open("a") as file:
            file.write(asked.hex() + "\n")
        return f"Rated: [[{1 + asked[0] % 10}]]. Compared: [[{'ABC'[asked[1] % 3]}]]"

    print(ScriptedJudge(rate, port=port).port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve_until_killed(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
