"""Starts real servers with the chain model on loopback, and says why not where one cannot be had."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from chain_model import write_gguf

STARTS_WITHIN = 90.0


def free_port() -> int:
    """Returns a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def transformers_serve(folder: Path, port: int) -> list[str]:
    """Returns the command line of `transformers serve`."""
    for package in ("fastapi", "openai", "uvicorn"):
        pytest.importorskip(package, reason="transformers serve needs it")
    command = Path(sys.executable).with_name("transformers")
    return [str(command), "serve", str(folder), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]


def llama_server(folder: Path, port: int) -> list[str]:
    """Returns the command line of llama.cpp's server."""
    command = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    if command is None:
        pytest.skip("llama.cpp's llama-server is not installed; LLAMA_SERVER may name it")
    pytest.importorskip("gguf", reason="the package gguf writes the model for llama.cpp")
    file = write_gguf(folder, folder / "chain.gguf")
    sizes = ["--parallel", "8", "--ctx-size", "16384", "--threads", "1"]
    return [command, "--model", str(file), "--host", "127.0.0.1", "--port", str(port), *sizes]


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server until the context ends."""
    # A cache folder of its own that exists: without one `transformers serve` cannot list models.
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_CACHE": str(log.parent)}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_for(process, port, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Returns when the server says that it is ready."""
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
