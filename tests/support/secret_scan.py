"""Finds what looks like a secret in a text: known formats, values assigned to suspicious names, and random texts."""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

SHAPES = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a venue key": re.compile(r"\b[APC]K[A-Z0-9]{18,24}\b"),
    "a cloud key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a repository token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,})"),
    "a chat token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "a password in an address": re.compile(r"://[^/\s:@{}$<]+:[^/\s:@{}$<]+@"),
}
ASSIGNED_VALUE = re.compile(
    r"(?i)\b\w*(?:secret|password|passwd|token|api_?key)\w*[\"']?\s*[:=]\s*[\"']?(?P<value>[A-Za-z0-9+/_=-]{16,})"
)
RANDOM = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{32,}={0,2}(?![A-Za-z0-9+/])")
GIVEN_BITS_MIN = 3.5  # English words joined by underscores have 3 to 3.5 bits a character, random values 4 to 6
RANDOM_BITS_MIN = 4.5  # hexadecimal digits, of which hashes are made, cannot have more than 4


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Return each suspicion with its line; never the value."""
    for number, line in enumerate(text.splitlines(), start=1):
        if (found := _suspicion(line)) is not None:
            yield number, found


def bits_per_character(value: str) -> float:
    """Return the entropy of a text per character, from how often each occurs."""
    return -sum(count / len(value) * log2(count / len(value)) for count in Counter(value).values())


def _suspicion(line: str) -> str | None:
    for name, shape in SHAPES.items():
        if shape.search(line):
            return name
    if any(_is_drawn(given["value"]) for given in ASSIGNED_VALUE.finditer(line)):
        return "a value given to a telling name"
    return "a random text" if any(_is_random(value) for value in RANDOM.findall(line)) else None


def _is_drawn(value: str) -> bool:
    has_digits = any(character.isdigit() for character in value)
    return has_digits and bits_per_character(value) >= GIVEN_BITS_MIN


def _is_random(value: str) -> bool:
    kinds = [any(test(character) for character in value) for test in (str.islower, str.isupper, str.isdigit)]
    return all(kinds) and bits_per_character(value) >= RANDOM_BITS_MIN
