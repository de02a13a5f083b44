"""Store: all that the terminal remembers, behind one door: people, decisions and the outbox in one SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.errors import StoreError
from penlatch.store.calibrations import Calibrations
from penlatch.store.database import Database
from penlatch.store.journal import Journal
from penlatch.store.people import History, People, StoredTemplate
from penlatch.store.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penlatch.messages import Decision, DecisionDraft, Quality, SiteCalibration, User
    from penlatch.store.vault import Vault

__all__ = ["History", "Store", "StoredTemplate"]

_KEY_CHECK = b"penlatch"
"""What is sealed into a new database, so that a wrong key is found at the start and not at the first signature."""


class Store:
    """The open store. One instance lives on one thread; a second one, in any process, is refused while it is open."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self.boot = _count_boot(database, vault)
        """Which start of the daemon this is, counted from 1."""
        self._people = People(database, vault)
        self._pictures = Pictures(database, vault)
        self._journal = Journal(database, boot=self.boot)
        self._calibrations = Calibrations(database, vault)

    @classmethod
    def open(cls, path: Path, vault: Vault) -> Store:
        """Open the database at `path`, or make it; check it; count one start more.

        Raises:
            StoreError: if it is damaged, in use, of a later penlatch, of another program, or sealed with another key.
                The file is then as it was.
        """
        database = Database.open(path)
        try:
            return cls(database, vault)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the database. Safe to call twice."""
        self._database.close()

    def users(self) -> list[User]:
        """Return everybody who is enrolled, by name."""
        return self._people.users()

    def enroll(
        self,
        name: str,
        *,
        references: Sequence[bytes],
        template: bytes,
        template_version: str,
        time: str,
        quality: Quality | None = None,
    ) -> None:
        """Add a person: see `People.enroll`."""
        self._people.enroll(
            name,
            references=references,
            template=template,
            template_version=template_version,
            time=time,
            quality=quality,
        )

    def change_references(
        self,
        name: str,
        *,
        add: Sequence[bytes] = (),
        adapted: bool = False,
        drop: Sequence[int] = (),
        template: bytes,
        template_version: str,
        time: str,
        quality: Quality | None = None,
    ) -> None:
        """Add references to those of a person and take others out: see `People.change_references`."""
        self._people.change_references(
            name,
            add=add,
            adapted=adapted,
            drop=drop,
            template=template,
            template_version=template_version,
            time=time,
            quality=quality,
        )

    def references(self, name: str) -> list[bytes]:
        """Return the references of a person, opened: see `People.references`."""
        return self._people.references(name)

    def history(self, name: str) -> History:
        """Return when the references of a person came: see `People.history`."""
        return self._people.history(name)

    def templates(self) -> dict[str, StoredTemplate]:
        """Return everybody's template, opened, by name: see `People.templates`."""
        return self._people.templates()

    def replace_template(
        self, name: str, *, template: bytes, template_version: str, quality: Quality | None = None
    ) -> None:
        """Give a person a new template: see `People.replace_template`."""
        self._people.replace_template(name, template=template, template_version=template_version, quality=quality)

    def delete_user(self, name: str) -> None:
        """Forget a person: see `People.delete_user`."""
        self._people.delete_user(name)

    def count_pictures(self, name: str) -> int:
        """Return how many pictures a person has: see `Pictures.count`."""
        return self._pictures.count(name)

    def add_picture(self, name: str, picture: bytes, *, time: str) -> int:
        """Add a picture to those of a person: see `Pictures.add`."""
        return self._pictures.add(name, picture, time=time)

    def pictures(self, name: str) -> list[bytes]:
        """Return the pictures of a person, opened: see `Pictures.load`."""
        return self._pictures.load(name)

    def record(self, draft: DecisionDraft) -> Decision:
        """Number a decision and commit it together with its place in the outbox: see `Journal.record`."""
        return self._journal.record(draft)

    def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        """Return the last decisions, newest first: see `Journal.decisions`."""
        return self._journal.decisions(limit=limit, user=user)

    def failures(self, user: str, *, before: int) -> int:
        """Count a person's signatures that did not match since their last match: see `Journal.failures`."""
        return self._journal.failures(user, before=before)

    def calibration(self) -> SiteCalibration | None:
        """Return what was last calibrated and applied, None where nothing was: see `Calibrations.load`."""
        return self._calibrations.load()

    def keep_calibration(self, calibration: SiteCalibration) -> None:
        """Keep a calibration in the place of the one before: see `Calibrations.keep`."""
        self._calibrations.keep(calibration)

    def pending(self, *, limit: int, after: int = 0) -> list[Decision]:
        """Return what waits in the outbox, in order: see `Journal.pending`."""
        return self._journal.pending(limit=limit, after=after)

    def delivered(self, seq: int) -> None:
        """Take a decision out of the outbox: see `Journal.delivered`."""
        self._journal.delivered(seq)

    def outbox_depth(self) -> int:
        """Return how many decisions wait for the broker."""
        return self._journal.outbox_depth()

    def last_seq(self) -> int:
        """Return the number of the last decision, 0 before the first."""
        return self._journal.last_seq()

    def heartbeat(self) -> None:
        """Commit something small: proof that the database still makes progress.

        Raises:
            StoreError: if it does not.
        """
        with self._database.transaction() as connection:
            connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'heartbeats'")


def _count_boot(database: Database, vault: Vault) -> int:
    """Make sure that `vault` has the key of this database, and return the number of this start."""
    context = "|key-check|0|1"
    if row := database.rows("SELECT value FROM meta WHERE name = 'key-check'"):
        try:
            vault.open(row[0][0], context=context)
        except StoreError as error:
            raise StoreError(
                path=database.path,
                problem=f"it was sealed with another key than the one in {vault.source}",
                remedy="put the right key back; without it, move the database away and enrol everybody again",
            ) from error
    with database.transaction() as connection:
        if not row:
            connection.execute("INSERT INTO meta VALUES ('key-check', ?)", (vault.seal(_KEY_CHECK, context=context),))
        (boot,) = connection.execute(
            "UPDATE meta SET value = value + 1 WHERE name = 'boots' RETURNING value"
        ).fetchone()
    return int(boot)
