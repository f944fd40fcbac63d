"""Others' text on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, without anything that could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
