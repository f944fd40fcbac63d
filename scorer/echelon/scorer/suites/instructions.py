"""Instruction templates: text with plain `{name}` places, and `{{` and `}}` for braces."""

from __future__ import annotations

import re
from collections.abc import Mapping

from echelon.scorer.errors import InvalidSuiteError

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}|[{}]")


class Instruction:
    """A task's instruction; values are put in as they are, never read as templates themselves."""

    def __init__(self, template: str) -> None:
        self._pieces, self.names = _split(template)
        self._constant = None if self.names else "".join(self._pieces)

    def fill(self, values: Mapping[str, str]) -> str:
        """The instruction with every place filled."""
        if self._constant is not None:
            return self._constant
        missing = [name for name in self.names if name not in values]
        if missing:
            raise InvalidSuiteError(
                f"the instruction needs {', '.join(map(repr, missing))}; add it to the sample's 'fields'"
            )
        # Pieces alternate: literal, name, literal, name, ..., literal.
        return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(self._pieces))


def _split(template: str) -> tuple[list[str], tuple[str, ...]]:
    pieces, names, at = [""], [], 0
    for token in _TOKEN.finditer(template):
        pieces[-1] += template[at : token.start()]
        at = token.end()
        if token[1]:
            names.append(token[1])
            pieces += [token[1], ""]
        elif len(token[0]) == 2:
            pieces[-1] += token[0][0]
        else:
            raise InvalidSuiteError(
                f"the instruction has a lone {token[0]!r} at character {token.start() + 1}; "
                "places are written {name}, braces {{ and }}"
            )
    pieces[-1] += template[at:]
    return pieces, tuple(dict.fromkeys(names))
