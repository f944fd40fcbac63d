"""The store, on real files."""

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from echelon.adapters import Call, CallSupport, Card, Kind, Tensor, Text, Usage
from echelon.scorer.errors import StoreError, UnknownNameError
from echelon.scorer.journal import Journal
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.store import Attempt, Rows, RunRecord, Store
from echelon.scorer.usage import Spent, TotalUsage
from echelon.scorer.verification import verify

CARD = Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), name="parrot")
SUITE = {"folder": "/suites/mine", "tasks": ["t", "u"], "name": "mine", "digest": "d" * 64}
RECORD = RunRecord("ab" * 32, SUITE, CARD, "here:1/parrot", 0, {"temperature": "0"}, "2026-01-01T00:00:00")
RUN = RECORD.run

WRITER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from echelon.adapters import Text
from echelon.scorer.journal import Journal
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.store import Store

async def main():
    journal = Journal(Store(Path(sys.argv[1]), write=True), sys.argv[2])
    async def put(number):
        large = "x" * 70_000 if number % 10 == 0 else ""
        await journal.put(SampleOutcome("t", str(number), State.ANSWERED, (Text(str(number) + large),)), 1.0)
        print(number, flush=True)
    for number in count(step=8):
        await asyncio.gather(*(put(number + i) for i in range(8)))

asyncio.run(main())
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store with one run."""
    with Store(tmp_path / "runs", write=True) as opened:
        opened.create(RECORD)
        yield opened


def answer(sample: str, text: str = "yes") -> SampleOutcome:
    return SampleOutcome("t", sample, State.ANSWERED, (Text(text),))


def commit(store: Store, *outcomes: SampleOutcome) -> None:
    store.commit(RUN, Rows([(outcome, 1.0) for outcome in outcomes]))


def read(store: Store, *samples: str) -> list[SampleOutcome | None]:
    return list(store.outcomes(RUN, "t", samples))


def edit(store: Store, statement: str, *values: object) -> None:
    connection = sqlite3.connect(store.folder / "journal.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_outcomes_come_back_in_the_order_asked_for_with_a_gap_where_there_is_none(store: Store) -> None:
    refusal = SampleOutcome("t", "b", State.REFUSED, (), "REFUSED", "not today")
    commit(store, answer("a"), refusal)
    assert read(store, "b", "missing", "a") == [refusal, None, answer("a")]


def test_an_outcome_is_written_once_and_never_changed(store: Store) -> None:
    commit(store, answer("a", "first"))
    commit(store, answer("a", "second"), answer("b"))
    assert read(store, "a", "b") == [answer("a", "first"), answer("b")]
    assert store.counts(RUN) == {"t": {State.ANSWERED: 2}}


def test_more_outcomes_than_one_query_reads_come_back_in_order(store: Store) -> None:
    samples = [str(n) for n in range(700)]
    commit(store, *(answer(sample, sample) for sample in samples))
    found = read(store, *reversed(samples))
    assert [outcome.sample for outcome in found if outcome] == samples[::-1]


def test_a_large_answer_is_a_file_named_by_its_digest(store: Store) -> None:
    large = SampleOutcome("t", "a", State.ANSWERED, (Tensor(bytes(100_000), "uint8", (100_000,)),))
    commit(store, large)
    (file,) = [path for path in (store.folder / "blobs").rglob("*") if path.is_file()]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name
    assert read(store, "a") == [large]


@pytest.mark.parametrize(("harm", "told"), [(Path.unlink, "is missing"), (lambda p: p.write_bytes(b"x"), "is damaged")])
def test_a_large_answer_that_was_tampered_with_is_told_with_its_sample(store: Store, harm: object, told: str) -> None:
    commit(store, answer("a", "x" * 70_000))
    (file,) = [path for path in (store.folder / "blobs").rglob("*") if path.is_file()]
    harm(file)  # type: ignore[operator]  # a function of a path
    with pytest.raises(StoreError, match=f"task t, sample a, in run abababababab cannot be read: .*{told}"):
        read(store, "a")


@pytest.mark.parametrize("change", ["answer = x'00'", "state = 'refused'", "detail = 'x'", "sample = 'z'"])
def test_a_changed_row_is_never_taken_for_an_outcome(store: Store, change: str) -> None:
    commit(store, answer("a"))
    edit(store, f"UPDATE outcomes SET {change}")
    with pytest.raises(StoreError, match=r"is damaged in .*journal\.sqlite; put a copy back"):
        read(store, "a", "z")


def test_text_that_moves_from_one_value_to_the_next_is_a_change(store: Store) -> None:
    commit(store, SampleOutcome("t", "a", State.CRASHED, (), "ONE\0TWO", "three"))
    edit(store, "UPDATE outcomes SET reason = ?, detail = ?", "ONE", "TWO\0three")
    with pytest.raises(StoreError, match="the outcome of task t, sample a, in run abababababab is damaged"):
        read(store, "a")


def test_what_is_missing_or_exchanged_is_counted(store: Store) -> None:
    commit(store, *(answer(sample) for sample in "abc"))
    edit(store, "DELETE FROM outcomes WHERE sample = 'b'")
    with pytest.raises(StoreError, match="3 outcomes of task t, in run abababababab, were written and 2 are found"):
        read(store, "a")
    with pytest.raises(StoreError, match="3 outcomes of task t"):
        store.counts(RUN)
    with pytest.raises(StoreError, match="3 outcomes of task t"):
        store.done(RUN, "t")


def test_the_same_outcomes_have_the_same_digest_in_any_order_and_any_batches(tmp_path: Path) -> None:
    digests = []
    outcomes = [answer(str(n)) for n in range(40)]
    for seed, batch in enumerate((1, 7, 40)):
        Random(seed).shuffle(outcomes)
        with Store(tmp_path / str(seed), write=True) as store:
            store.create(RECORD)
            for start in range(0, len(outcomes), batch):
                # Half of a batch comes twice.
                commit(store, *outcomes[start : start + batch], *outcomes[start : start + batch // 2])
                commit(store, *outcomes[start : start + batch // 2])
            assert store.counts(RUN) == {"t": {State.ANSWERED: 40}}
        database = sqlite3.connect(tmp_path / str(seed) / "journal.sqlite")
        digests.append(database.execute("SELECT * FROM digests ORDER BY task, relation").fetchall())
        database.close()
    assert digests[0] == digests[1] == digests[2]
    assert ("t", "outcomes", 40) in [row[1:4] for row in digests[0]]


def test_nothing_is_written_on_top_of_damage(store: Store) -> None:
    commit(store, answer("a"), answer("b"))
    edit(store, "DELETE FROM outcomes WHERE sample = 'a'")
    edit(store, "UPDATE digests SET row_count = 1 WHERE task = 't' AND relation = 'outcomes'")
    before = contents(store)
    with pytest.raises(StoreError, match="the digest of the outcomes of task t, in run abababababab, is damaged"):
        store.create(RECORD)
    with pytest.raises(StoreError, match="the digest of the outcomes of task t, in run abababababab, is damaged"):
        commit(store, answer("c"))
    assert contents(store) == before


def contents(store: Store) -> list[object]:
    connection = sqlite3.connect(store.folder / "journal.sqlite")
    found = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("runs", "outcomes", "digests")]
    connection.close()
    return [found]


def test_a_run_that_claims_an_older_version_is_named_though_no_row_of_it_is_left(store: Store) -> None:
    commit(store, answer("a"))
    store.close()
    edit(store, "UPDATE runs SET store_version = 3, checksum = NULL, seed = 9")
    edit(store, "DELETE FROM outcomes")
    (run,) = verify(store.folder).runs
    assert f"the row of run {RUN[:12]} is damaged" in run.problems
    with Store(store.folder) as damaged, pytest.raises(StoreError, match="the row of run abababababab is damaged"):
        damaged.runs()


def test_a_task_that_is_none_of_the_runs_is_refused(store: Store) -> None:
    stranger = replace(answer("a"), task="stranger")
    with pytest.raises(StoreError, match="run abababababab has no task stranger"):
        commit(store, stranger)


def test_a_reference_run_that_is_gone_is_named(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="no run 'cdcd"):
        list(store.outcomes("cd" * 32, "t", ["a"]))


def test_a_large_answer_that_was_tampered_with_is_found_by_the_check_of_the_store(store: Store) -> None:
    commit(store, answer("a", "x" * 70_000), answer("b"))
    assert verify(store.folder).intact
    (file,) = [path for path in (store.folder / "blobs").rglob("*") if path.is_file()]
    file.write_bytes(b"x")
    (run,) = verify(store.folder).runs
    (problem,) = run.problems
    assert "the outcome of task t, sample a, in run abababababab cannot be read: " in problem
    assert not verify(store.folder).intact


@pytest.mark.parametrize("value", [b"\xff", "\0", "../../etc/passwd", 7])
def test_a_name_of_a_large_answer_that_is_none_is_found_by_the_check_of_the_store(store: Store, value: object) -> None:
    commit(store, answer("a"))
    store.close()
    edit(store, "UPDATE outcomes SET blob = ?", value)
    (found,) = verify(store.folder).runs
    assert any("sample a, in run" in problem and "is damaged" in problem for problem in found.problems)
    assert any("is no digest of a file in" in problem for problem in found.problems)


def test_a_run_is_found_by_the_beginning_of_its_id_and_by_last(store: Store) -> None:
    other = replace(RECORD, run="abcd" * 16, created="2026-01-02T00:00:00")
    store.create(other)
    assert store.run("abab") == RECORD
    assert store.run("last") == other
    with pytest.raises(UnknownNameError, match="more than one run begins with 'ab'"):
        store.run("ab")
    for nothing in ("%", "cd"):
        with pytest.raises(UnknownNameError, match="no run"):
            store.run(nothing)


def test_a_run_that_is_created_again_takes_the_suites_new_place_and_keeps_the_rest(store: Store) -> None:
    moved = {**SUITE, "folder": "/elsewhere"}
    sota = {"t": {"score": 0.5, "source": "a paper", "n": None, "metric_id": ""}}
    store.create(replace(RECORD, suite=moved, target="there:2/parrot", created="2027", sota=sota))
    assert store.run("last") == replace(RECORD, suite=moved, sota=sota)
    store.create(RECORD)
    assert store.run("last").sota == sota


def test_a_runs_nonce_and_identity_are_those_it_was_created_with(store: Store) -> None:
    other = replace(RECORD, run="cd" * 32, created="2027", nonce="first", identity={"adapter": "a", "weights": None})
    store.create(other)
    store.create(replace(other, nonce="second", identity={"adapter": "b"}))
    assert store.run("last") == other


def test_failed_tries_are_kept_in_their_order(store: Store) -> None:
    tries = [Attempt("t", sample, "UNREACHABLE", "gone", "now") for sample in "ba"]
    store.commit(RUN, Rows(attempts=tries))
    assert store.attempts(RUN) == tries
    assert store.tried(RUN, "t") == {"a", "b"}
    assert store.tried(RUN, "other") == set()


def test_what_calls_took_is_summed_by_task(store: Store) -> None:
    # The first of two tries at one sample failed, and was paid for.
    spent = [
        ("t", "a", Usage(10, 2, 500, 3, 4)),
        ("t", "a", Usage(10, 3, 600)),
        ("t", "b", Usage(1)),
        ("u", "a", Usage(5)),
    ]
    store.commit(RUN, Rows(spent=[Spent(*each) for each in spent]))
    store.create(replace(RECORD, run="cd" * 32))
    store.commit("cd" * 32, Rows(spent=[Spent("t", "a", Usage(99))]))
    assert store.usage(RUN) == {
        "t": TotalUsage(3, 2, Usage(21, 5, 1100, 3, 4)),
        "u": TotalUsage(1, 1, Usage(5)),
    }
    with pytest.raises(UnknownNameError, match="no run 'none'"):
        store.usage("none")


def test_absurd_counts_spoil_no_run(store: Store) -> None:
    store.commit(RUN, Rows(spent=[Spent("t", str(n), Usage((1 << 63) - 1)) for n in range(3)]))
    assert store.usage(RUN)["t"].usage.input_token_count == pytest.approx(3 * 2.0**63)


def test_an_outcome_and_what_it_took_are_stored_together(store: Store) -> None:
    async def main() -> None:
        journal = Journal(store, RUN)
        await journal.put(answer("a"), 1.0, Spent("t", "a", Usage(7, 3)))
        assert store.usage(RUN) == {"t": TotalUsage(1, 1, Usage(7, 3))}
        await journal.spend(Spent("t", "b", Usage(1, 1)))
        await journal.close()

    asyncio.run(main())
    assert store.usage(RUN) == {"t": TotalUsage(2, 2, Usage(8, 4))}


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_journal_is_named(tmp_path: Path, write: bool) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(StoreError, match=r"journal\.sqlite is damaged, or no journal"):
        Store(tmp_path, write=write)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("PRAGMA application_id = 4711")
    connection.close()
    with pytest.raises(StoreError, match="belongs to another program"):
        Store(tmp_path, write=True)


def test_a_damaged_page_is_an_error_that_names_the_file(store: Store) -> None:
    commit(store, *(answer(str(n), "y" * 500) for n in range(500)))
    store.close()
    file = store.folder / "journal.sqlite"
    data = bytearray(file.read_bytes())
    data[4096 * 4 :] = os.urandom(len(data) - 4096 * 4)
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"journal\.sqlite"), Store(store.folder) as reader:
        list(reader.outcomes(RUN, "t", [str(n) for n in range(500)]))


def test_a_folder_without_runs_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there are no runs in .*; evaluate something first"):
        Store(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_writer_is_refused_and_readers_are_not(store: Store) -> None:
    commit(store, answer("a"))
    with pytest.raises(StoreError, match="another run is writing"):
        Store(store.folder, write=True)
    with Store(store.folder) as reader:
        commit(store, answer("b"))
        assert list(reader.outcomes(RUN, "t", ["a", "b"])) == [answer("a"), answer("b")]
        with pytest.raises(StoreError, match="readonly"):
            reader.create(RECORD)


@contextmanager
def read_only(folder: Path) -> Iterator[list[str]]:
    """Yield the words before a command for which `folder` cannot be written to."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.glob("journal.sqlite*"))}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        # Root may write anywhere, unless it gives that up.
        yield ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


VERIFY = """
import sys
from pathlib import Path
from echelon.scorer.verification import verify
print(verify(Path(sys.argv[1])).runs[0].outcomes)
"""


def test_a_store_that_cannot_be_written_to_can_be_read(store: Store) -> None:
    commit(store, answer("a"))
    store.close()
    with read_only(store.folder) as before:
        command = [*before, sys.executable, "-c", VERIFY, str(store.folder)]
        ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr
    assert not list(store.folder.glob("journal.sqlite-*"))


def test_a_log_that_cannot_be_read_where_it_lies_says_what_helps(store: Store, tmp_path: Path) -> None:
    commit(store, answer("a"))
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        (killed / name).write_bytes((store.folder / name).read_bytes())
    with read_only(killed) as before:
        command = [*before, sys.executable, "-c", VERIFY, str(killed)]
        ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "nothing that was stored is lost; copy the folder to where it can be written" in ended.stderr
    assert verify(killed).runs[0].outcomes == 1


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "50% off? #1 & more"
    with Store(folder, write=True) as store:
        store.create(RECORD)
    with Store(folder) as store:
        assert store.run("last") == RECORD
    assert (folder / "journal.sqlite").is_file()


def test_outcomes_that_come_together_share_a_commit_and_are_stored_when_put_returns(store: Store) -> None:
    async def main() -> list[SampleOutcome | None]:
        journal = Journal(store, RUN)
        await asyncio.gather(*(journal.put(answer(str(n)), 1.0) for n in range(50)))
        stored = read(store, *map(str, range(50)))
        await journal.note(Attempt("t", "x", "UNREACHABLE", "gone", "now"))
        await journal.close()
        return stored

    assert None not in asyncio.run(main())
    assert [attempt.sample for attempt in store.attempts(RUN)] == ["x"]


def test_whoever_waits_for_a_commit_that_fails_is_told(store: Store) -> None:
    (store.folder / "blobs").write_text("a file where the folder should be")

    async def main() -> None:
        journal = Journal(store, RUN)
        try:
            with pytest.raises(StoreError, match="nothing that was stored is lost"):
                await journal.put(answer("a", "x" * 70_000), 1.0)
            await journal.put(answer("b"), 1.0)
        finally:
            await journal.close()

    asyncio.run(main())
    assert read(store, "a", "b") == [None, answer("b")]


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(store: Store, tmp_path: Path) -> None:
    store.close()
    told: set[str] = set()
    for kill_after in (3, 40, 90):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, store.folder, RUN], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(kill_after)]
        child.send_signal(signal.SIGKILL)
        told.update(line.strip() for line in (*lines, *child.stdout.read().split()))
        child.wait()
        child.stdout.close()
    with Store(store.folder, write=True) as again:
        assert told <= again.done(RUN, "t")
        found = {o.sample: o for o in again.outcomes(RUN, "t", sorted(told)) if o}
        unacknowledged = again.done(RUN, "t") - told
    assert all(found[sample].parts[0].value.rstrip("x") == sample for sample in told)  # type: ignore[attr-defined]  # texts
    checked = verify(store.folder)
    assert checked.intact
    assert [run.outcomes for run in checked.runs] == [len(found) + len(unacknowledged)]
