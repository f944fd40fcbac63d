"""The shape of the house: one namespace over five folders, and public names that are what they say."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = [ROOT / name / "echelon" for name in ("proto", "adapters", "server", "clients", "scorer")]
FORBIDDEN = {"pickle", "marshal", "joblib", "dill", "cloudpickle", "shelve"}


def packages() -> Iterator[str]:
    """Every package of ours that has an `__init__.py`."""
    for folder in FOLDERS:
        for path in sorted(folder.rglob("__init__.py")):
            yield ".".join(path.parent.relative_to(folder.parent).parts)


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted(path for path in folder.rglob("*.py") if "_pb2" not in path.name)


def public(name: str) -> list[str] | None:
    names: list[str] | None = getattr(importlib.import_module(name), "__all__", None)
    return names


def rank(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions, as the linter sorts them."""
    return not name.isupper(), not name[0].isupper(), name


def test_no_folder_claims_the_namespace_for_itself() -> None:
    assert [str(folder) for folder in FOLDERS if (folder / "__init__.py").exists()] == []


def test_every_package_says_that_it_is_typed() -> None:
    tops = {folder / child.name for folder in FOLDERS for child in folder.iterdir() if (child / "__init__.py").exists()}
    untyped = [str(top.relative_to(ROOT)) for top in sorted(tops) if not (top / "py.typed").exists()]
    assert untyped == ["proto/echelon/v1"]


@pytest.mark.parametrize("name", list(packages()))
def test_the_public_names_of_a_package_are_sorted_and_there(name: str) -> None:
    names = public(name)
    if names is not None:
        assert names == sorted(set(names), key=rank)
        assert [each for each in names if not hasattr(importlib.import_module(name), each)] == []


def test_what_vendors_and_clients_import_is_listed() -> None:
    assert public("echelon.adapters")
    assert public("echelon.clients")


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_reads_pickles(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in imported} & FORBIDDEN
    allowed = [
        keyword.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "allow_pickle"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]
    assert allowed == []
