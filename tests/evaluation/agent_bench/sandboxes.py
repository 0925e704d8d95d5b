"""Sandboxes for tests, and a made-up checkout of AgentBench."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import NoSandbox, Sandbox, choose
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.limits import Limits

MB = 1 << 20
SMALL = Limits(memory=150 * MB, disk=16 * MB, files=5_000, processes=48, seconds=1.0, kept=20_000)
KINDS = ("bubblewrap", "namespaces")
SHARED = Path(__file__).parents[4] / "shared" / "data" / "agentbench" / "os_interaction" / "data"

_INTEGERS = "import sys\nsys.exit(int(sys.argv[1]) != int(sys.argv[2]))\n"
_TEXTS = "import sys\na, b = (' '.join(one.split()) for one in sys.argv[1:3])\nsys.exit(a != b)\n"
_SIZES = """import sys
UNITS = "BKMG"
def size(text):
    text = text.strip()
    return int(text[:-1]) * 1024 ** UNITS.index(text[-1]) if text[-1] in UNITS else int(text)
sys.exit(size(sys.argv[1]) != size(sys.argv[2]))
"""
_CALC = "for one in '2 * (9 / 3)' '15 + 27 * 4' '3 - 6.5'; do\n" + (
    '  python3 -c "import sys; sys.exit(abs($(calc "$one") - ($one)) > 1e-5)" || exit 1\ndone\n'
)
_STOCKS = """names=(Alice Bob); acts=(Purchase Sell)
for i in $(seq 50); do echo "${names[RANDOM % 2]} | ${acts[RANDOM % 2]} | $((RANDOM % 9)) | 7"; done > /usr/stock.log
"""
_MAKES_CALC = """cat > /usr/local/bin/calc <<'END'
#!/bin/bash
python3 -c "print($*)"
END
chmod +x /usr/local/bin/calc
"""


def checkout(folder: Path) -> Path:
    """Makes a folder with AgentBench's layout, and scripts that do what those of the dev set do."""
    scripts = folder / "data" / "os_interaction" / "scripts" / "dev"
    made = {
        "check/integer-match.py": _INTEGERS,
        "check/string-match.py": _TEXTS,
        "check/size-match.py": _SIZES,
        "check/0.sh": _CALC,
        "init/stock-log.sh": _STOCKS,
        "example/0.sh": _MAKES_CALC,
    }
    for name, text in made.items():
        (scripts / name).parent.mkdir(parents=True, exist_ok=True)
        (scripts / name).write_text(text)
    return folder


@cache
def _found(kind: str, limits: Limits) -> Sandbox | str:
    try:
        return choose(kind, "host", limits)
    except NoSandbox as error:
        return error.cause


def sandbox(kind: str, limits: Limits = SMALL) -> Sandbox:
    """Returns a sandbox of this machine's programs, or skips the test with the reason why there is none."""
    found = _found(kind, limits)
    if isinstance(found, str):
        pytest.skip(f"no sandbox: {found}")
    return found
