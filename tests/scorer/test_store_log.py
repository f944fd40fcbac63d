"""Damage to the write-ahead log that a run leaves which was killed."""

import shutil
from pathlib import Path

import pytest

from echelon.adapters import Call, CallSupport, Card, Kind, Text
from echelon.scorer.errors import StoreError
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.store import Rows, RunRecord, Store

CARD = Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), name="parrot")
RECORD = RunRecord("ab" * 32, {"tasks": ["t"]}, CARD, "here:1/parrot", 0, {}, "2026-01-01T00:00:00")
COMMITS, EACH = 12, 5
SAMPLES = [f"{n:03}" for n in range(COMMITS * EACH)]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A store as it lies on disk while its writer is at work, as a kill would leave it."""
    copy = tmp_path / "copy"
    with Store(tmp_path / "runs", write=True) as store:
        store.create(RECORD)
        for start in range(0, len(SAMPLES), EACH):
            chunk = SAMPLES[start : start + EACH]
            outcomes = [SampleOutcome("t", sample, State.ANSWERED, (Text(sample),)) for sample in chunk]
            store.commit(RECORD.run, Rows([(outcome, 1.0) for outcome in outcomes]))
        shutil.copytree(tmp_path / "runs", copy)
    (copy / "journal.sqlite-shm").unlink()
    return copy


def answered(folder: Path, *, write: bool) -> list[str]:
    with Store(folder, write=write) as store:
        return [outcome.sample for outcome in store.outcomes(RECORD.run, "t", SAMPLES) if outcome is not None]


@pytest.mark.parametrize("write", [False, True])
def test_the_log_of_a_killed_run_is_read_to_its_end(killed: Path, write: bool) -> None:
    assert answered(killed, write=write) == SAMPLES


@pytest.mark.parametrize("write", [False, True])
def test_a_flipped_byte_of_the_log_is_named_unless_it_tore_the_last_commit(
    killed: Path, tmp_path: Path, write: bool
) -> None:
    log = (killed / "journal.sqlite-wal").read_bytes()
    named = 0
    for place in range(0, len(log), 97 * 7):
        harmed = tmp_path / "harmed"
        shutil.copytree(killed, harmed)
        data = bytearray(log)
        data[place] ^= 0x04 if place % 2 else 0xFF
        (harmed / "journal.sqlite-wal").write_bytes(data)
        try:
            # A power cut may tear the last commit before it is acknowledged.
            assert answered(harmed, write=write) in (SAMPLES, SAMPLES[:-EACH]), place
        except StoreError:
            named += 1
            # Looking at it has not made it worse.
            assert (harmed / "journal.sqlite-wal").read_bytes() == data
            with pytest.raises(StoreError):
                answered(harmed, write=write)
        shutil.rmtree(harmed)
    assert named > 100


@pytest.mark.parametrize("left", [0, 31, 32, 5000, 0.5, 0.9])
def test_a_log_that_was_torn_off_is_read_as_far_as_it_goes(killed: Path, left: float) -> None:
    log = killed / "journal.sqlite-wal"
    data = log.read_bytes()
    log.write_bytes(data[: int(left * len(data)) if left < 1 else int(left)])
    if left in (0.5, 0.9):
        found = answered(killed, write=False)
        assert found == SAMPLES[: len(found)]
        assert len(found) % EACH == 0
    else:
        with pytest.raises(StoreError):
            answered(killed, write=False)


def test_readers_of_a_store_that_is_written_to_see_no_damage(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.create(RECORD)
        for number, sample in enumerate(SAMPLES):
            outcome = SampleOutcome("t", sample, State.ANSWERED, (Text("x" * 60_000),))
            store.commit(RECORD.run, Rows([(outcome, 1.0)]))
            assert answered(tmp_path, write=False) == SAMPLES[: number + 1]
