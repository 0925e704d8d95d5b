"""A server on this machine that speaks as much of the Hugging Face Hub as a push needs, with faults on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_" + 2 * "localtesttoken"
HOST, USER = "annas-laptop-77", "annabelle77"  # of the machine that pushes
Push = Callable[..., tuple[int, str, str]]
LARGE = (".parquet", ".safetensors", ".png", ".pptx")
KIND = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclass
class Repo:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: ["initial commit"])
    sdk: str | None = None
    gated: bool = False

    @property
    def head(self) -> str:
        return hashlib.sha1("".join(self.commits).encode()).hexdigest()


@dataclass
class Fault:
    """What happens to requests whose line matches: a status, or None: the connection ends within the body."""

    pattern: str
    status: int | None
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "made to fail"


class LocalHub:
    """Repositories by (kind, id), collections by slug; `requests` has each request's line."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.repos: dict[tuple[str, str], Repo] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.received: Counter[str] = Counter()
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.sent = b""
        self.lock = threading.RLock()

    def fail(self, pattern: str, status: int | None, times: int = 1, **more: Any) -> None:
        self.faults.append(Fault(pattern, status, times, **more))

    def fault(self, line: str) -> Fault | None:
        with self.lock:
            for one in self.faults:
                if one.times and re.search(one.pattern, line):
                    one.times -= 1
                    return one
        return None

    def asked(self, pattern: str) -> list[str]:
        return [line for line in self.requests if re.search(pattern, line)]


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.hub = hub = LocalHub(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _any(self) -> None:
        line = f"{self.command} {self.path}"
        self.hub.requests.append(line)
        size = int(self.headers.get("Content-Length") or 0)
        fault = self.hub.fault(line)
        if fault and fault.status is None:
            self.rfile.read(size // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(size) if size else self._chunks()
        self.hub.sent += body
        if fault and fault.status:
            return self._error(fault.status, fault.message, **fault.headers)
        with self.hub.lock:
            self._route(urlsplit(self.path), body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _any

    def _chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        found = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _route(self, address: Any, body: bytes) -> None:
        path, query = unquote(address.path), parse_qs(address.query)
        if found := re.fullmatch(r"/lfs/(\w{64})", path):
            assert hashlib.sha256(body).hexdigest() == found[1]
            self.hub.objects[found[1]] = body
            self.hub.received[found[1]] += 1
            return self._json({})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error(401, "Invalid credentials in Authorization header")
        data = json.loads(body) if body and "/commit/" not in path else {}
        if path == "/api/whoami-v2":
            return self._json({"name": "anna", "type": "user", "orgs": [{"name": "acme"}]})
        if path == "/api/validate-yaml":
            return self._validated(data["content"])
        if path == "/api/repos/create":
            return self._create(data)
        if path.startswith("/api/collections"):
            return self._collections(path.removeprefix("/api/collections").strip("/"), query, data)
        if found := re.fullmatch(r"/(?:(datasets|spaces)/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
            return self._batch(data)
        if found := re.fullmatch(r"/(?:(datasets|spaces)/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(self.hub.repos[KIND[found[1] or "models"], found[2]], found[4])
        if found := re.fullmatch(r"/api/(models|datasets|spaces)/([\w.-]+/[\w.-]+)(?:/(\w+)(?:/(.*))?)?", path):
            repo = self.hub.repos.get((KIND[found[1]], found[2]))
            if repo is None:
                return self._error(404, "Repository not found", **{"X-Error-Code": "RepoNotFound"})
            return self._repo(repo, found[2], found[3] or "", data, body)
        return self._error(404, "no such endpoint")

    def _validated(self, content: str) -> None:
        try:
            head = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)[1])  # type: ignore[index]
            assert isinstance(head, dict)
        except (TypeError, AssertionError, yaml.YAMLError):
            return self._json({"errors": [{"message": "no metadata"}], "warnings": []}, 400)
        return self._json({"errors": [], "warnings": []})

    def _create(self, data: dict[str, Any]) -> None:
        kind, name = data.get("type") or "model", f"{data['organization']}/{data['name']}"
        url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        if data["organization"] not in ("anna", "acme"):
            return self._error(403, "You don't have the rights to create a repository here")
        if (kind, name) in self.hub.repos:
            return self._json({"error": "You already created this repo", "url": url}, 409)
        template = {"README.md": b"---\nsdk: static\n---\n", "index.html": b"<p>Hello</p>", "style.css": b"p {}"}
        self.hub.repos[kind, name] = made = Repo(
            data.get("visibility") == "private", {".gitattributes": b"*\n"}, sdk=data.get("sdk")
        )
        made.files |= template if kind == "space" else {}
        return self._json({"url": url})

    def _batch(self, data: dict[str, Any]) -> None:
        found = []
        for one in data["objects"]:
            upload = {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}
            found.append({**one, **({} if one["oid"] in self.hub.objects else upload)})
        self._json({"transfer": "basic", "objects": found})

    def _resolve(self, repo: Repo, name: str) -> None:
        if name not in repo.files:
            return self._error(404, "Entry not found", **{"X-Error-Code": "EntryNotFound"})
        content = repo.files[name]
        self._send(200, content, "application/octet-stream", ETag=f'"{blob(content)}"', **{"X-Repo-Commit": repo.head})

    def _repo(self, repo: Repo, name: str, what: str, data: dict[str, Any], body: bytes) -> None:
        if what in ("", "revision"):
            facts = {"id": name, "sha": repo.head, "private": repo.private, "gated": repo.gated, "siblings": []}
            return self._json(facts)
        if what == "commits":
            facts = {"authors": [], "date": "2026-01-01T00:00:00.000Z", "message": ""}
            return self._json([{"id": repo.head, "title": title, **facts} for title in reversed(repo.commits)])
        if what == "tree":
            return self._json([self._entry(path, content) for path, content in repo.files.items()])
        if what == "preupload":
            return self._json({"files": [self._mode(repo, one) for one in data["files"]]})
        if what == "settings":
            repo.private = data.get("visibility", "private" if data.get("private") else "public") == "private"
            return self._json({})
        assert what == "commit"
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        if lines[0]["value"].get("parentCommit") not in (None, repo.head):
            return self._error(412, "A commit has happened since. Please refresh and try again.")
        for one in lines[1:]:
            value = one["value"]
            if one["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                repo.files[value["path"]] = self.hub.objects[value["oid"]]
            else:
                del repo.files[value["path"]]
        repo.commits.append(lines[0]["value"]["summary"])
        return self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{repo.head}", "commitOid": repo.head})

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob(content)}
        if path.endswith(LARGE):
            found |= {"oid": "0" * 40}
            found["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return found

    def _mode(self, repo: Repo, one: dict[str, Any]) -> dict[str, Any]:
        large = one["path"].endswith(LARGE)
        there = repo.files.get(one["path"])
        oid = {"oid": blob(there)} if there is not None and not large else {}
        return {"path": one["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **oid}

    def _collections(self, slug: str, query: dict[str, list[str]], data: dict[str, Any]) -> None:
        known = self.hub.collections
        if slug.endswith("/items"):
            items = known[slug.removesuffix("/items")]["items"]
            if any(item["id"] == data["item"]["id"] and item["type"] == data["item"]["type"] for item in items):
                return self._error(409, "already there")
            items.append({"_id": str(len(items)), "position": len(items), **data["item"]})
            return self._json(known[slug.removesuffix("/items")])
        if self.command == "POST":
            slug = f"{data['namespace']}/{re.sub(r'[^a-z0-9]+', '-', data['title'].lower())}-{len(known):024d}"
            owner = {"name": data["namespace"]}
            known[slug] = {"slug": slug, "title": data["title"], "owner": owner, "items": [], "position": 0}
            known[slug] |= {"lastUpdated": "2026-01-01T00:00:00.000Z", "theme": "blue", "upvotes": 0}
            known[slug] |= {"private": data["private"], "description": data.get("description")}
            return self._json(known[slug])
        if self.command == "PATCH":
            known[slug] |= data
            return self._json({"data": known[slug]})
        if not slug:
            own = [one for one in known.values() if one["owner"]["name"] in query["owner"]]
            return self._json([{name: value for name, value in one.items() if name != "position"} for one in own])
        return self._json(known[slug])

    def _error(self, status: int, message: str, **headers: str) -> None:
        self._send(status, json.dumps({"error": message}).encode(), "application/json", **headers)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
