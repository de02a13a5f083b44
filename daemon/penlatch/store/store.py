"""Store: all that the terminal remembers, behind one door: people, decisions and the outbox in one SQLite file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penlatch.clock import utc_now
from penlatch.errors import StoreError
from penlatch.moment import Moment
from penlatch.store import head, meta, naming
from penlatch.store.audit import Audit, Head, Kind
from penlatch.store.binding import bind
from penlatch.store.calibrations import Calibrations
from penlatch.store.database import Database
from penlatch.store.decision_rows import decisions_of_instance
from penlatch.store.expiry import Expiry
from penlatch.store.journal import Journal, Limits
from penlatch.store.keys import current, signing_key
from penlatch.store.people import History, People, StoredTemplate
from penlatch.store.pictures import Pictures
from penlatch.store.signatures import Signatures

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from penlatch.config import Replay
    from penlatch.messages import Decision, DecisionDraft, Failures, Quality, SiteCalibration, User
    from penlatch.moment import Made
    from penlatch.store.signatures import Kept, Seen
    from penlatch.store.signatures import Kind as SeenKind
    from penlatch.store.vault import Vault

__all__ = ["Head", "History", "Limits", "Store", "StoredTemplate"]


class Store:
    """The open store. One instance lives on one thread; a second one, in any process, is refused while it is open."""

    def __init__(self, database: Database, vault: Vault, limits: Limits | None) -> None:
        self._database = database
        vault = current(database, vault)
        self._audit = Audit.open(database, vault)
        self._kept = head.read(head.place(database.path))
        _refuse_older(self._audit, self._kept, database.path)
        bind(database, vault, self._audit)
        self.boot = _count_boot(database, self._audit)
        """Which start of the daemon this is, counted from 1."""
        self._vault = vault
        self._people = People(database, vault, self._audit)
        self._pictures = Pictures(database, vault, self._audit)
        self._journal = Journal(database, self._audit, boot=self.boot, limits=limits)
        self._expiry = Expiry(database, self._audit)
        self._calibrations = Calibrations(database, vault, self._audit)
        self._signatures = Signatures(database, vault)
        self.path = database.path
        """Of the database."""
        self.keep_head()

    @classmethod
    def open(cls, path: Path, vault: Vault, limits: Limits | None = None) -> Store:
        """Open the database at `path`, or make it; check it; count one start more.

        Args:
            path: of the SQLite file.
            vault: with the key that seals it.
            limits: how much may wait in the outbox; None for the usual.

        Raises:
            StoreError: if it is damaged, in use, of a later penlatch, of another program, sealed with another key, or
                older than one that was here before. The file is then as it was.
        """
        database = Database.open(path)
        try:
            return cls(database, vault, limits)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the database. Safe to call twice."""
        if not self._database.closed:
            # Only the trace of a rollback gets worse by it.
            with contextlib.suppress(StoreError):
                self.keep_head()
        self._database.close()

    def names(self) -> list[str]:
        """Return the names of everybody who is enrolled, in order."""
        return self._people.names()

    def check_name(self, name: str) -> None:
        """Refuse a name that nobody new may have: see `naming.check`."""
        naming.check(name, known=self.names())

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
        seen: Sequence[Seen] = (),
        rule: Replay | None = None,
    ) -> None:
        """Add a person: see `People.enroll`. The signatures `seen` are kept with it, as `rule` says."""
        self._people.enroll(
            name,
            references=references,
            template=template,
            template_version=template_version,
            time=time,
            quality=quality,
            also=self._keeping(seen, rule),
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
        seen: Sequence[Seen] = (),
        rule: Replay | None = None,
    ) -> None:
        """Add references to those of a person and take others out: see `People.change_references`.

        The signatures `seen` are kept with it, as `rule` says.
        """
        self._people.change_references(
            name,
            add=add,
            adapted=adapted,
            drop=drop,
            template=template,
            template_version=template_version,
            time=time,
            quality=quality,
            also=self._keeping(seen, rule),
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

    def record(
        self,
        draft: DecisionDraft,
        *,
        made: Moment | None = None,
        way: str = "",
        failures: Mapping[str, Failures] | None = None,
        seen: Sequence[Seen] = (),
        rule: Replay | None = None,
    ) -> Decision:
        """Number a decision and commit it together with all that follows of it: see `Journal.record`.

        The signatures `seen` are kept with it, as `rule` says; without a rule none is.
        """
        return self._journal.record(draft, made=made, way=way, failures=failures, also=self._keeping(seen, rule))

    def lockouts(self) -> dict[str, Failures]:
        """Return the committed failures, by subject: see `Journal.lockouts`."""
        return self._journal.lockouts()

    def unlock(self, subject: str, *, by: str, time: str) -> None:
        """Forget the failures of a person or of the terminal: see `Journal.unlock`."""
        self._journal.unlock(subject, by=by, time=time)

    def signature_ids(self) -> list[int]:
        """Return which signatures of before are kept: see `Signatures.ids`."""
        return self._signatures.ids()

    def signatures(self, ids: Collection[int]) -> list[Kept]:
        """Return signatures of before, opened: see `Signatures.load`."""
        return self._signatures.load(ids)

    def signatures_of(self, user: str, *, most: int = -1) -> list[int]:
        """Return which signatures of a person are kept: see `Signatures.of`."""
        return self._signatures.of(user, most=most)

    def signatures_since(self, after: int) -> list[tuple[int, str | None]]:
        """Return the signatures of before that came after one: see `Signatures.since`."""
        return self._signatures.since(after)

    def recent_signers(self) -> list[str]:
        """Return who signed, those who did last first: see `Signatures.recent_users`."""
        return self._signatures.recent_users()

    def mark_key(self) -> bytes:
        """Return the key with which marks are made: see `Signatures.mark_key`."""
        return self._signatures.mark_key()

    def marked(self, marks: Collection[int]) -> list[tuple[int, int]]:
        """Return the signatures that have one of these marks: see `Signatures.marked`."""
        return self._signatures.marked(marks)

    def forget_marks(self, rule: Replay) -> int:
        """Delete the oldest marks: see `Signatures.forget_marks`."""
        return self._signatures.forget_marks(rule)

    def signature_owners(self) -> set[tuple[str | None, SeenKind]]:
        """Return of whom which kinds of signatures of before are kept: see `Signatures.owners`."""
        return self._signatures.owners()

    def keep_signatures(self, seen: Sequence[Seen], rule: Replay) -> None:
        """Keep signatures that came with no decision: see `Signatures.add`."""
        with self._database.transaction() as connection:
            self._signatures.add(connection, seen, rule)

    def forget_signatures(self, *, but_version: int | None = None) -> int:
        """Delete signatures of before: see `Signatures.forget`."""
        return self._signatures.forget(but_version=but_version)

    def _keeping(self, seen: Sequence[Seen], rule: Replay | None) -> Callable[[sqlite3.Connection], None] | None:
        """Return what keeps signatures within a transaction, None where there is nothing to keep."""
        if rule is None or not seen:
            return None
        return lambda connection: self._signatures.add(connection, seen, rule)

    def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        """Return the last decisions, newest first: see `Journal.decisions`."""
        return self._journal.decisions(limit=limit, user=user)

    def failures(self, user: str, *, before: int) -> int:
        """Count a person's signatures that did not match since their last match: see `Journal.failures`."""
        return self._journal.failures(user, before=before)

    def sittings_since(self, after: str, *, user: str) -> list[tuple[int, str]]:
        """Return the decisions that opened further sittings of a person: see `Journal.sittings_since`."""
        return self._journal.sittings_since(after, user=user)

    def calibration(self) -> SiteCalibration | None:
        """Return what was last calibrated and applied, None where nothing was: see `Calibrations.load`."""
        return self._calibrations.load()

    def keep_calibration(self, calibration: SiteCalibration) -> None:
        """Keep a calibration in the place of the one before: see `Calibrations.keep`."""
        self._calibrations.keep(calibration)

    def pending(self, *, limit: int, after: int = 0) -> list[Made]:
        """Return what waits in the outbox, in order: see `Journal.pending`."""
        return self._journal.pending(limit=limit, after=after)

    def delivered(self, seq: int, *, unheard: bool = False) -> None:
        """Take a decision out of the outbox: see `Journal.delivered`."""
        self._journal.delivered(seq, unheard=unheard)

    def unheard(self) -> int:
        """Return how many decisions nobody was subscribed to: see `Journal.unheard`."""
        return self._journal.unheard()

    @property
    def instance(self) -> str:
        """Life of the database: 32 hexadecimal digits."""
        return self._journal.instance

    def decisions_of(self, instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
        """Return decisions of an instance by their numbers: see `decisions_of_instance`."""
        return decisions_of_instance(self._database, instance, first, last, limit=limit)

    def decisions_from(self) -> int:
        """Return the number of the oldest decision that is still here: see `Expiry.first`."""
        return self._expiry.first()

    def expire(self, *, keep: timedelta, now: datetime) -> int:
        """Take old decisions away: see `Expiry.expire`."""
        return self._expiry.expire(keep=keep, now=now)

    def outbox_depth(self) -> int:
        """Return how many decisions wait for the broker."""
        return self._journal.outbox_depth()

    def last_seq(self) -> int:
        """Return the number of the last decision, 0 before the first."""
        return self._journal.last_seq()

    def signing_key(self) -> bytes:
        """Return the key with which this terminal signs: see `keys.signing_key`."""
        return signing_key(self._database, self._vault)

    def heartbeat(self) -> None:
        """Commit something small: proof that the database still makes progress. Keeps the head of the audit, too.

        Raises:
            StoreError: if it does not.
        """
        with self._database.transaction() as connection:
            meta.count(connection, "heartbeats", path=self.path)
            self._journal.turn(connection, at=Moment.now(), time=utc_now())
        self.keep_head()

    def dropped(self) -> int:
        """Return how many decisions the outbox had no room for: see `Journal.dropped`."""
        return self._journal.dropped()

    def unstored(self) -> int:
        """Return how many errors and retries were counted and not stored: see `Unjudged.beyond`."""
        return self._journal.unstored()

    def oldest_pending(self) -> str | None:
        """Return when the first decision that waits was made: see `Journal.oldest_pending`."""
        return self._journal.oldest_pending()

    def audit_head(self) -> Head:
        """Return the end of the audit: see `Audit.head`."""
        return self._audit.head()

    def check_audit(self, *, after: int = 0, limit: int = -1) -> int:
        """Check entries of the audit: see `Audit.check`."""
        return self._audit.check(after=after, limit=limit)

    def keep_head(self) -> None:
        """Write the head of the audit beside the database, if it has moved.

        Raises:
            StoreError: if it cannot be written.
        """
        now = self._audit.head()
        if self._kept is None or self._kept.number != now.number:
            kept = head.Kept(number=now.number, mac=now.mac, seq=self.last_seq())
            head.write(head.place(self._database.path), kept)
            self._kept = kept


def _refuse_older(audit: Audit, kept: head.Kept | None, path: Path) -> None:
    """Refuse a database whose audit does not contain the head that was kept of it."""
    if kept is None or audit.contains(kept):
        return
    ends = audit.head().number
    problem = (
        f"an older database was put back: its audit ends at entry {ends} and had come to {kept.number}"
        if ends < kept.number
        else f"this is another database than the one that was here: entry {kept.number} of its audit is not the same"
    )
    remedy = "put the newer one back; if it is lost, `penlatch store restore` takes a backup and says so in the audit"
    raise StoreError(path=path, problem=problem, remedy=remedy)


def _count_boot(database: Database, audit: Audit) -> int:
    """Return the number of this start."""
    with database.transaction() as connection:
        boot = meta.count(connection, "boots", path=database.path)
        audit.append(connection, Kind.STARTED, {"boot": boot, "bound": True})
    return boot
