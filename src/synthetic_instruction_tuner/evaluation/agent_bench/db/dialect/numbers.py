"""MySQL's numbers: what it reads from a text, how it rounds, and its sums."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from math import sqrt
from statistics import pvariance
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import text

_NUMBER = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)")
_WHOLE = re.compile(r"\s*([+-]?\d+)")
_LARGEST = 2**63 - 1
_MOST = 1.7976931348623157e308
_PLACES = 30  # digits behind the point


def number(value: Any) -> float:
    """Returns a value as a number: of a text its numeric beginning."""
    if isinstance(value, (int, float)):
        return value
    found = _NUMBER.match(text(value))
    return float(found[1]) if found else 0.0


def signed(value: Any) -> int | None:
    """Returns CAST AS SIGNED: of a text its whole beginning, and a number rounded."""
    if value is None:
        return None
    if isinstance(value, (int, float)):
        found = int(Decimal(repr(value)).to_integral_value(ROUND_HALF_UP)) if abs(value) < _LARGEST else _LARGEST
        return max(-_LARGEST - 1, min(_LARGEST, found))
    begin = _WHOLE.match(text(value))
    return max(-_LARGEST - 1, min(_LARGEST, int(begin[1][:40]))) if begin else 0


def fixed(value: Any, digits: Any) -> str | None:
    """Returns a number as the text of a decimal with so many digits behind the point."""
    if value is None:
        return None
    places = Decimal(1).scaleb(-max(0, min(_PLACES, int(digits))))
    try:
        return str(Decimal(_exact(value)).quantize(places, ROUND_HALF_UP))
    except InvalidOperation:  # more digits than there are
        return _exact(value)


def cut(value: Any, digits: Any) -> str | None:
    """Returns a quotient as the text of a decimal with so many digits, without rounding."""
    if value is None:
        return None
    exact = Decimal(f"{float(number(value)):.15g}")
    try:
        return str(exact.quantize(Decimal(1).scaleb(-int(digits)), ROUND_DOWN))
    except InvalidOperation:
        return _exact(value)


def decimal(value: Any, digits: Any) -> float | None:
    """Returns CAST AS DECIMAL as a number to calculate with."""
    found = fixed(value, digits)
    return None if found is None else float(found)


def truncated(value: Any, digits: Any) -> float | int | None:
    """Returns TRUNCATE: digits are cut off."""
    if value is None or digits is None:
        return None
    scale = 10 ** max(-15, min(15, int(number(digits))))
    found = int(Decimal(_exact(value)) * Decimal(scale)) / scale
    return int(found) if int(number(digits)) <= 0 and abs(found) < _LARGEST else found


def grouped(value: Any, digits: Any, _: Any = None) -> str | None:
    """Returns FORMAT: rounded, with commas between thousands."""
    if value is None or digits is None:
        return None
    places = max(0, min(_PLACES, int(number(digits))))
    shown = repr(value) if isinstance(value, float) else fixed(value, places)  # doubles round to even
    return f"{Decimal(shown or 0):,.{places}f}"


def remainder(value: Any, by: Any) -> float | int | None:
    """Returns MOD, with the sign of the first; None of a division by zero."""
    if value is None or by is None or not number(by):
        return None
    found = Decimal(_exact(value)) % Decimal(_exact(by))
    whole = isinstance(value, int) and isinstance(by, int)
    return int(found) if whole else float(found)


def rounded(value: Any, digits: Any, exact: Any) -> float | int | None:
    """Returns ROUND: decimals half up, doubles to even.

    Args:
        value: a number, or a text that begins with one.
        digits: places behind the point; negative before it.
        exact: whether it is a decimal.
    """
    if value is None or digits is None:
        return None
    places = max(-_PLACES, min(_PLACES, int(number(digits))))
    try:
        if exact:
            found = Decimal(_exact(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
            return int(found) if isinstance(value, int) else float(found)
        scale = 10.0 ** abs(places)
        return round(number(value) / scale) * scale if places < 0 else round(number(value) * scale) / scale
    except (InvalidOperation, OverflowError, ValueError):
        return number(value)


class Sum:
    """SUM: of texts a float, as MySQL's double; of whole numbers whole. Rows may leave a window again."""

    def __init__(self) -> None:
        self._total: float = 0
        self._count = 0

    def step(self, value: Any) -> None:
        """Adds a value."""
        if value is not None:
            self._count += 1
            self._total += number(value)

    def inverse(self, value: Any) -> None:
        """Takes a value away."""
        if value is not None:
            self._count -= 1
            self._total -= number(value)

    def value(self) -> float | None:
        """Returns the sum; None of nothing."""
        return self._total if self._count else None

    def finalize(self) -> float | None:
        """Returns the same at the end."""
        return self.value()


class Variance:
    """VARIANCE, of all values and not of a sample."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def step(self, value: Any) -> None:
        """Adds a value."""
        if value is not None:
            self._values.append(number(value))

    def finalize(self) -> float | None:
        """Returns the variance; None of nothing."""
        return pvariance(self._values) if self._values else None


class Deviation(Variance):
    """STDDEV: the root of the variance."""

    def finalize(self) -> float | None:
        """Returns the deviation; None of nothing."""
        found = super().finalize()
        return None if found is None else sqrt(found)


def _exact(value: Any) -> str:
    """Returns the digits of a number, or of a text's numeric beginning."""
    if isinstance(value, (int, float)):
        return repr(value)
    found = _NUMBER.match(text(value))
    if found and "e" in found[1].lower():
        return repr(min(_MOST, max(-_MOST, float(found[1]))))  # a decimal would write all its zeros
    return found[1] if found else "0"
