"""Sizes as people write them."""

import re
from typing import Union

_UNITS = {"": 1, "b": 1}
for power, letter in enumerate("kmg", start=1):
    _UNITS[f"{letter}b"] = 1000**power
    _UNITS[letter] = _UNITS[f"{letter}ib"] = 1024**power


def parse(size: Union[int, float, str]) -> float:
    """The bytes of a number, or of a text such as `100 KiB`."""
    if not isinstance(size, str):
        return size
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", size)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"{size!r} is not a size such as '100 KiB'")
    return float(found[1]) * _UNITS[found[2].lower()]


def readable(size: float) -> str:
    """Bytes for a person."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
