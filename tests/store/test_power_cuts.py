"""A power cut at any moment: the store opens again, and whatever was promised by then is in it."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penlatch.store.store import Store
from penlatch.store.vault import Vault
from support.power_cuts import Disk, Kind, Op, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROGRAM = Path(__file__).parents[1] / "support/programs/keep_store.py"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory) -> list[Op]:
    """What a store writes in its life."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing: apt-get install strace")
    folder = tmp_path_factory.mktemp("store")
    environment = {"PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT / 'models'}", "PATH": os.environ["PATH"]}
    command = [sys.executable, str(PROGRAM), str(folder)]
    return record(command, folder, tmp_path_factory.mktemp("log") / "strace.txt", environment)


def assert_kept(image: Mapping[str, bytes], promises: list[str], folder: Path) -> None:
    """Open what a disk held, and look for everything that was promised."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    path = folder / "penlatch.db"
    store = Store.open(path, Vault.load(database=path, environment={}))
    store.check_audit()
    seqs = [decision.seq for decision in reversed(store.decisions(limit=99))]
    assert seqs == list(range(1, len(seqs) + 1))
    waiting = {made.decision.seq for made in store.pending(limit=99)}
    names = [user.name for user in store.users()]
    for kept in promises:
        match kept.split()[1:]:
            case ["start", number]:
                assert store.boot > int(number)
            case ["user", _]:
                assert "kept no ada" in promises or names == ["ada"] or len(seqs) == 12
            case ["decision", number]:
                assert int(number) in seqs
            case ["delivered", number]:
                assert int(number) not in waiting
            case ["no", _]:
                assert names == []
    store.close()


def test_the_recording_is_of_everything_that_was_promised(ops: list[Op]) -> None:
    promises = Disk(ops, len(ops)).promises
    assert promises[0] == "kept start 1"
    assert promises[-1] == "kept closed"
    assert len([kept for kept in promises if kept.startswith("kept decision")]) == 12
    assert {Kind.WRITE, Kind.SYNC, Kind.CREATE} <= {op.kind for op in ops}


@pytest.mark.parametrize(
    "holds",
    [
        lambda disk, _: disk.all(),
        lambda disk, _: disk.settled(),
        lambda disk, dice: disk.some(dice),
    ],
    ids=["all that was written", "what was synced alone", "some of what was not"],
)
def test_after_a_cut_at_any_call_the_store_opens_with_all_that_was_promised(
    ops: list[Op], tmp_path: Path, holds: Callable[[Disk, random.Random], Mapping[str, bytes]]
) -> None:
    dice = random.Random(1)
    before: Mapping[str, bytes] | None = None
    for count in range(len(ops) + 1):
        disk = Disk(ops, count)
        image = holds(disk, dice)
        # A promise alone changes no disk, and has to be looked for all the same.
        if image == before and ops[count - 1].kind is not Kind.PROMISE:
            continue
        before = image
        try:
            assert_kept(image, disk.promises, tmp_path / "disk")
        except Exception as error:
            last = ops[count - 1] if count else None
            raise AssertionError(f"cut after call {count} of {len(ops)}, {last and (last.kind, last.name)}") from error


def test_a_store_that_syncs_nothing_would_be_found(ops: list[Op], tmp_path: Path) -> None:
    careless = [op for op in ops if op.kind is not Kind.SYNC]
    whole = Disk(careless, len(careless))
    with pytest.raises(AssertionError):
        assert_kept(whole.settled(), whole.promises, tmp_path / "disk")
