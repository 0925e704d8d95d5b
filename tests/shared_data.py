"""Real data beside the repository, which a user's clone does not have: tests that need it are skipped there."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data"


def shared(name: str) -> Path:
    """Returns a folder of real data, or skips the test."""
    place = FOLDER / name
    if not place.is_dir():
        pytest.skip(f"{name} is not in ../shared/data")
    return place
