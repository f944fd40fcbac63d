"""Suites by name: what is installed, how it is built, and the cache."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from echelon.adapters.errors import ConfigurationError
from echelon.adapters.file_digests import default_cache
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.suites.sources import Sources, open_suite
from echelon.scorer.suites.suite import Suite

MANIFEST = """\
name: mine
version: "1"
tasks:
  - {id: words, title: W, modality: language, paradigm: language, skill: reading, instruction: Say it., output: text,
     extractor: text, metric: anls, chance: 0.0, samples: words.jsonl}
"""
SOURCE = f"""
import json, os, pathlib

class Mine:
    title = "Mine"
    description = "A third party's."
    version = "3"

    def build(self, folder, *, samples, seed):
        text = {{"kind": "text", "value": str(seed)}}
        lines = [json.dumps({{"id": str(i), "parts": [text], "reference": text}}) for i in range(samples)]
        (folder / "words.jsonl").write_text("\\n".join(lines))
        (folder / "suite.yaml").write_text('''{MANIFEST}''')
        with open(os.environ["BUILDS"], "a") as builds:
            builds.write("built\\n")
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with one suite source on the path, and returns the folder it lies in."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))

    def write(
        source: str = SOURCE, *, name: str = "mine", distribution: str = "acme-suites", version: str = "1.2"
    ) -> Path:
        module = f"module_{uuid4().hex}"
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[echelon.suites]\n{name} = {module}:Mine\n")
        (site / f"{module}.py").write_text(source)
        return site

    return write


def ids(suite: Suite) -> tuple[str, ...]:
    return suite.sample_ids(suite.tasks[0])


def test_a_third_partys_suite_is_found_without_importing_it(install: Install) -> None:
    install("raise RuntimeError('imported')")
    entry = Sources.installed().get("mine")
    assert (entry.distribution, entry.version, entry.problem) == ("acme-suites", "1.2", "")


def test_a_named_suite_is_built_once_for_each_size_and_seed(install: Install, tmp_path: Path) -> None:
    install()
    cache = tmp_path / "cache"
    for _ in range(2):
        assert ids(open_suite("mine", samples=3, seed=1, cache=cache)) == ("0", "1", "2")
    open_suite("mine", samples=3, seed=2, cache=cache)
    assert sorted(path.name for path in cache.iterdir()) == ["mine-3-1-3", "mine-3-2-3"]
    assert (tmp_path / "builds").read_text().count("built") == 2


def test_a_source_of_another_version_is_built_anew(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    cache = tmp_path / "cache"
    open_suite("mine", samples=1, cache=cache)
    monkeypatch.setattr(type(Sources.installed().load("mine")), "version", "4")
    open_suite("mine", samples=1, cache=cache)
    assert sorted(path.name for path in cache.iterdir()) == ["mine-1-0-3", "mine-1-0-4"]


def test_a_folder_is_opened_where_it_stands(install: Install, tmp_path: Path) -> None:
    install()
    built = Sources.installed().build("mine", tmp_path / "here", samples=2, seed=0)
    opened = open_suite(str(tmp_path / "here"), cache=tmp_path / "cache")
    assert opened.info == built.info
    assert not (tmp_path / "cache").exists()


def test_a_bare_word_is_the_installed_suite_and_a_dotted_one_the_folder(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    monkeypatch.chdir(tmp_path)
    Sources.installed().build("mine", Path("mine"), samples=1, seed=0)
    assert len(ids(open_suite("mine", samples=2, cache=tmp_path / "cache"))) == 2
    assert len(ids(open_suite("./mine"))) == 1


def test_a_folder_takes_no_number_of_samples(install: Install, tmp_path: Path) -> None:
    install()
    Sources.installed().build("mine", tmp_path / "here", samples=2, seed=0)
    with pytest.raises(ConfigurationError, match="only a named suite takes a number"):
        open_suite(str(tmp_path / "here"), samples=1)


def test_an_unknown_name_is_answered_with_the_nearest(install: Install) -> None:
    install()
    with pytest.raises(UnknownNameError, match=r"no suite 'mime' \(did you mean 'mine'\?\)"):
        open_suite("mime")


def test_a_name_that_two_distributions_declare_is_refused_and_both_are_told(install: Install) -> None:
    install()
    install(distribution="other-suites")
    with pytest.raises(InvalidSuiteError, match="declared 2 times, by acme-suites, other-suites"):
        open_suite("mine")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_that_name", "failed to load: ModuleNotFoundError"),
        ("Mine = 3", "failed to load: TypeError"),
        ("class Mine: pass", "has no method build"),
        ("class Mine:\n def build(self, folder, **_): pass", 'needs a class attribute like version = "1"'),
        ("class Mine:\n version = '../1'\n def build(self, folder, **_): pass", "needs a class attribute like version"),
        (
            "class Mine:\n version = '1'\n def build(self, folder, **_): raise KeyError('x')",
            "'mine' failed to build: KeyError: 'x'",
        ),
        ("class Mine:\n version = '1'\n def build(self, folder, **_): pass", "it has no suite.yaml"),
    ],
)
def test_a_broken_source_says_what_is_wrong_and_leaves_nothing_behind(
    install: Install, tmp_path: Path, source: str, told: str
) -> None:
    install(source)
    with pytest.raises(InvalidSuiteError) as caught:
        open_suite("mine", cache=tmp_path / "cache")
    assert told in str(caught.value)
    assert not (tmp_path / "cache").exists() or list((tmp_path / "cache").iterdir()) == []


def test_a_broken_source_stops_no_other(install: Install, tmp_path: Path) -> None:
    install()
    install("broken", name="broken", distribution="broken-suites")
    assert {"mine", "broken", "starter"} <= Sources.installed().names()
    assert len(ids(open_suite("mine", samples=1, cache=tmp_path / "cache"))) == 1


def test_a_build_goes_into_an_empty_folder_only(install: Install, tmp_path: Path) -> None:
    install()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("dear to me")
    with pytest.raises(ConfigurationError, match="full is not empty"):
        Sources.installed().build("mine", tmp_path / "full", samples=1, seed=0)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_something_else_in_the_caches_place_is_told_and_kept(install: Install, tmp_path: Path) -> None:
    install()
    taken = tmp_path / "mine-1-0-3"
    taken.mkdir()
    (taken / "notes.txt").write_text("not a suite")
    with pytest.raises(ConfigurationError, match=r"cannot put the suite at .*mine-1-0-3"):
        open_suite("mine", samples=1, cache=tmp_path)
    assert (taken / "notes.txt").exists()
    assert not list(tmp_path.glob(".mine*"))


def test_two_processes_that_build_at_once_both_get_a_whole_suite(install: Install, tmp_path: Path) -> None:
    meet = """
        import time
        (pathlib.Path(os.environ["MEETING"]) / str(os.getpid())).touch()
        while len(os.listdir(os.environ["MEETING"])) < 2:
            time.sleep(0.005)
"""
    start = "def build(self, folder, *, samples, seed):"
    site = install(SOURCE.replace(start, start + meet))
    (tmp_path / "meeting").mkdir()
    program = (
        "from pathlib import Path\n"
        "from echelon.scorer.suites.sources import open_suite\n"
        f"suite = open_suite('mine', samples=500, seed=0, cache=Path({str(tmp_path / 'cache')!r}))\n"
        "print(suite.info.digest, len(suite.sample_ids(suite.tasks[0])))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(site), "MEETING": str(tmp_path / "meeting")}
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(printed) == 1
    assert printed.pop().endswith(" 500\n")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine-500-0-3"]


def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    assert default_cache({"ECHELON_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("linux", ".cache/echelon"), ("darwin", "Library/Caches/echelon"), ("win32", "echelon/cache")],
)
def test_the_cache_is_the_platforms_otherwise(monkeypatch: pytest.MonkeyPatch, platform: str, expected: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert default_cache({}) == Path.home() / expected


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_cache({"XDG_CACHE_HOME": "/b"}) == Path("/b/echelon")
