"""Archives as General-Bench is shipped in, unpacked so that nothing gets out of the folder they are unpacked into."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from echelon.scorer.errors import InvalidSuiteError

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_CHUNK = 2**20
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What an archive may hold at most; the real bytes count, not what its headers say."""

    members: int = 2**20
    member_bytes: int = 8 * 2**30
    total_bytes: int = 256 * 2**30


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    file: IO[bytes]


def stem(name: str) -> str | None:
    """The name without its archive suffix; None for what is no archive."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None)
    return name[: -len(suffix)] if suffix else None


def unpacked(archive: Path, cache: Path, ceilings: Ceilings = Ceilings()) -> Path:
    """The folder under `cache` with the archive's files, unpacked on first use.

    InvalidSuiteError for paths that lead out, links, encrypted members, damage, and more than the ceilings allow.
    """
    final = cache / "archives" / f"{stem(archive.name)}-{_identity(archive)}"
    if final.is_dir():
        return final
    beside = final.with_name(f".{final.name}-{uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        _unpack(archive, beside, ceilings)
        beside.rename(final)
    except OSError as error:
        # Another process may have been first.
        if not final.is_dir():
            raise InvalidSuiteError(f"cannot unpack {archive} into {cache}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return final


def _identity(archive: Path) -> str:
    """Which file this is; reading gigabytes at every start only to name the folder would cost too much."""
    told = archive.stat()
    return hashlib.sha256(f"{archive.resolve()} {told.st_size} {told.st_mtime_ns}".encode()).hexdigest()[:16]


def _unpack(archive: Path, folder: Path, ceilings: Ceilings) -> None:
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    written = 0
    with _readable(archive):
        for count, member in enumerate(members(archive), start=1):
            if count > ceilings.members:
                raise InvalidSuiteError(f"{archive} has more than {ceilings.members} members")
            target = folder.joinpath(*_parts(archive, member.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise InvalidSuiteError(f"{archive} has two members {member.name!r}")
            written += _copy(archive, member, target, min(ceilings.member_bytes, ceilings.total_bytes - written))


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    try:
        yield
    # A damaged archive fails in as many ways as there are formats.
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InvalidSuiteError(f"{archive} cannot be read: {error}; fetch it again") from error


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for told in opened.infolist():
            if told.is_dir() or _is_clutter(told.filename):
                continue
            if stat.S_ISLNK(told.external_attr >> 16):
                raise InvalidSuiteError(f"{archive}: {told.filename!r} is a link; links are not unpacked")
            if told.flag_bits & 1:
                raise InvalidSuiteError(f"{archive}: {told.filename!r} is encrypted")
            with opened.open(told) as file:
                yield _Member(told.filename, file)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as opened:
        for told in opened:
            if told.isdir() or _is_clutter(told.name):
                continue
            file = opened.extractfile(told) if told.isreg() else None
            if file is None:
                raise InvalidSuiteError(f"{archive}: {told.name!r} is a link or a device; those are not unpacked")
            with file:
                yield _Member(told.name, file)


def _is_clutter(name: str) -> bool:
    """What macOS and file managers leave behind."""
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


def _parts(archive: Path, name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    leads_out = name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or _DRIVE.match(name)
    if leads_out or not parts:
        raise InvalidSuiteError(f"{archive}: the member {name!r} would land outside of its folder")
    return parts


def _copy(archive: Path, member: _Member, target: Path, limit: int) -> int:
    written = 0
    with target.open("wb") as out:
        while chunk := member.file.read(_CHUNK):
            written += len(chunk)
            if written > limit:
                raise InvalidSuiteError(f"{archive}: {member.name!r} is larger than is taken; unpack it yourself")
            out.write(chunk)
    return written
