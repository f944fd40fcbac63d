"""Writes a package with one adapter in it that passes every check before anything is changed."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from echelon.adapters import __all__ as contract_names
from echelon.adapters.calls import Call
from echelon.adapters.errors import ConfigurationError
from echelon.adapters.registry import OWN, Registry

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class Part:
    """What one call adds: the method that answers one request, the settings it reads, and what the card says of it."""

    helper: str
    settings: str
    support: str


_TEXT = '    text: str = "unknown"\n    """What is said where there is nothing else to say."""\n'
_SIDE = '    side: int = 32\n    """Height and width of what is made from words alone, in pixels."""\n'
PARTS: Mapping[Call, Part] = {
    Call.COMPREHEND: Part("judge", _TEXT, "(Kind.TEXT, Kind.IMAGE), (Kind.TEXT, Kind.CHOICE)"),
    Call.GENERATE: Part("make", _SIDE, "(Kind.TEXT, Kind.IMAGE), (Kind.IMAGE,)"),
    Call.LANGUAGE: Part("reply", _TEXT, "(Kind.TEXT,), (Kind.TEXT,)"),
}


def write_package(name: str, folder: Path, calls: Sequence[Call], *, asynchronous: bool = False) -> list[Path]:
    """Write the package `name` into `folder`, which must not be there yet; the files that were written.

    ConfigurationError where the name cannot be had, or something is in the way.
    """
    check_name(name)
    written = package(name, [call for call in Call if call in calls], asynchronous=asynchronous)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ConfigurationError(f"{folder} is there already; nothing was written, choose another --folder") from error
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {folder}: {error.strerror}") from error
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return [folder / path for path in written]


def check_name(name: str) -> None:
    """ConfigurationError unless an adapter, a distribution and a module may have this name here."""
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ConfigurationError(
            f"{name!r} is no name for an adapter: take up to {LONGEST_NAME} lower case letters and digits, with single "
            "dashes between them, a letter first"
        )
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in (OWN, "test", "tests"):
        raise ConfigurationError(f"a module cannot be called {module!r}, which Python or Echelon needs; choose another")
    for entry in Registry.installed().entries():
        if entry.name == name:
            raise ConfigurationError(f"{entry.distribution} brings an adapter {name!r} already; choose another name")
    spec = importlib.util.find_spec(module)
    # A folder of that name without a module in it is nobody's.
    if spec is not None and spec.origin is not None:
        raise ConfigurationError(f"a module {module!r} is installed already ({spec.origin}); choose another name")


def package(name: str, calls: Sequence[Call], *, asynchronous: bool) -> dict[str, str]:
    """The text of every file by its path."""
    module = name.replace("-", "_")
    said = {
        "name": name,
        "module": module,
        "class_name": _class_name(name),
        "echelon": version(OWN),
        "base": "AsyncAdapter" if asynchronous else "BatchAdapter",
        "first_helper": PARTS[calls[0]].helper,
        "settings": "".join(dict.fromkeys(PARTS[call].settings for call in calls)),
        "calls": _calls(calls),
        "methods": "\n".join(_methods(call, asynchronous=asynchronous) for call in calls).rstrip(),
        **{f"ask_{call}": _asks(call, asynchronous=asynchronous) for call in Call},
    }
    return {
        "pyproject.toml": _filled("pyproject.toml", said),
        "README.md": _filled("README.md", said),
        "Dockerfile": _filled("Dockerfile", said),
        "server.yaml": _filled("server.yaml", said),
        ".gitignore": _filled("gitignore", said),
        f"src/{module}/__init__.py": _filled("init.py", said),
        f"src/{module}/adapter.py": _adapter(calls, said),
        f"src/{module}/py.typed": "",
        "tests/test_adapter.py": _tests(calls, said),
        "tests/test_conformance.py": _filled("test_conformance.py", said),
    }


def _class_name(name: str) -> str:
    plain = "".join(word.capitalize() for word in name.split("-"))
    taken = {plain, f"{plain}Settings"} & set(contract_names) or keyword.iskeyword(plain)
    return f"{plain}Model" if taken else plain


def _calls(calls: Sequence[Call]) -> str:
    """What the card says of them, on one line where it is one."""
    supports = [f"CallSupport(Call.{call.name}, {PARTS[call].support})," for call in calls]
    if len(supports) == 1:
        return f"({supports[0]})"
    return "(\n" + "".join(f"                {support}\n" for support in supports) + "            )"


def _methods(call: Call, *, asynchronous: bool) -> str:
    helper = PARTS[call].helper
    if asynchronous:
        answers = (
            f"    async def {call}(self, request: Request) -> Outcome:\n"
            f"        return await asyncio.to_thread(self._{helper}, request)\n"
        )
    else:
        answers = (
            f"    def {call}(self, requests: Sequence[Request]) -> Sequence[Returned]:\n"
            f"        return [self._{helper}(request) for request in requests]\n"
        )
    return f"{answers}\n{_template(f'{call}.py')}"


def _asks(call: Call, *, asynchronous: bool) -> str:
    return f"asyncio.run(adapter.{call}(request))" if asynchronous else f"adapter.{call}([request])[0]"


def _adapter(calls: Sequence[Call], said: Mapping[str, str]) -> str:
    body = _filled("adapter.py", said) + (_template("smooth.py") if Call.GENERATE in calls else "")
    return f'"""The adapter of {said["name"]}."""\n\nfrom __future__ import annotations\n\n{_imports(body)}\n\n\n{body}'


def _tests(calls: Sequence[Call], said: Mapping[str, str]) -> str:
    body = _filled("test_adapter.py", said) + "".join(_filled(f"test_{call}.py", said) for call in calls)
    own = f"\n\nfrom {said['module']} import {said['class_name']}, {said['class_name']}Settings"
    return f"{_imports(body)}{own}\n\n\n{body}"


def _imports(body: str) -> str:
    """The imports of what `body` uses, as the linter sorts them."""
    used = [name for name in contract_names if re.search(rf"\b{name}\b", body)]
    ours = "from echelon.adapters import (\n" + "".join(f"    {name},\n" for name in used) + ")"
    standard = [line for sign, line in _STANDARD if sign in body]
    others = [line for sign, line in _OTHERS if sign in body]
    typing = ["from numpy.typing import NDArray"] if "NDArray" in body else []
    return "\n\n".join("\n".join(group) for group in (standard, [*others, ours, *typing]) if group)


_STANDARD = (
    ("asyncio.", "import asyncio"),
    ("Sequence[", "from collections.abc import Sequence"),
    ("@dataclass", "from dataclasses import dataclass"),
)
_OTHERS = (("np.", "import numpy as np"), ("@pytest", "import pytest"))


def _filled(template: str, said: Mapping[str, str]) -> str:
    return Template(_template(template)).substitute(said)


def _template(name: str) -> str:
    return (files("echelon.adapters.scaffold") / "templates" / f"{name}.txt").read_text(encoding="utf-8")
