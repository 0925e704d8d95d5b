"""The process in which a chat template is tried: it renders under limits, and says how that went.

A template is a program by a stranger. Python cannot interrupt the computation of a huge number, or refuse a string of
many gigabytes. But the operating system ends a process that takes too long, and gives it no more memory than it may
have. This file is run as a script, by `rendering_limits`, and imports nothing of the package.

One request is a JSON line: the template's source, its variables and the limits. The answer is a JSON line: the length
of the text, or what was exceeded. A process that has exceeded its time gives no answer: it has ended.
"""

from __future__ import annotations

import json
import signal
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _Generation(jinja2.ext.Extension):
    """The block `generation`, which Transformers adds to Jinja: here it is its content."""

    tags = {"generation"}  # noqa: RUF012  (as Jinja declares it)

    def parse(self, parser: Any) -> Any:
        """Returns a block that calls its own content."""
        line = next(parser.stream).lineno
        content = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_content"), [], [], content).set_lineno(line)

    def _content(self, caller: Any) -> Any:
        return caller()


def _raise(message: object) -> None:
    raise jinja2.TemplateError(str(message))


def _now(wanted: str) -> str:
    return datetime.now().strftime(wanted)


def _json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False} | options)


@lru_cache(maxsize=16)
def _compiled(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _json
    environment.globals |= {"raise_exception": _raise, "strftime_now": _now}
    _compute_constants(environment, source)
    return environment.from_string(source)


def _compute_constants(environment: jinja2.Environment, source: str) -> None:
    """Computes what Jinja computes while it compiles: there it would hide that the memory does not suffice.

    Raises:
        MemoryError: it does not.
    """
    for node in environment.parse(source).find_all(jinja2.nodes.Expr):
        try:
            node.as_const()
        except jinja2.nodes.Impossible as impossible:
            error: BaseException | None = impossible
            while error := error and error.__cause__:
                if isinstance(error, MemoryError):
                    raise error from None


def _rendered(source: str, variables: dict[str, Any], longest: int) -> dict[str, Any]:
    try:
        length = 0
        for piece in _compiled(source).generate(**variables):
            length += len(piece)
            if length > longest:
                return {"exceeded": "length"}
        return {"length": length}
    except MemoryError:
        return {"exceeded": "memory"}
    except Exception as error:  # whatever a template raises; the caller renders it again and sees it there
        return {"error": type(error).__name__}


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # a system without such limits
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answers requests until there are no more."""
    most_memory, seconds = int(sys.argv[1]), float(sys.argv[2])
    _limit_memory(most_memory)
    timed = hasattr(signal, "setitimer")
    for line in sys.stdin:
        if timed:  # the process's own time, not the clock's: a busy machine is no fault of the template
            signal.setitimer(signal.ITIMER_PROF, seconds)
        request = json.loads(line)
        answer = _rendered(request["source"], request["variables"], request["longest"])
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
