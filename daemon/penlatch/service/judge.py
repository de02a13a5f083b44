"""Judge: verifier, database and the templates in memory, as one object that lives in the worker thread.

Whatever is missing or broken here, the answer is never a match: a method either returns a decision that was
committed to the database first, or raises.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from penlatch import clock, names
from penlatch.asker import UNKNOWN, Asker
from penlatch.clock import utc_now
from penlatch.errors import ModelError, PenlatchError, RequestError, StoreError, TraceError, UnlikePicturesError
from penlatch.messages import (
    CHECK,
    MOST_REFERENCES,
    Action,
    AuditHead,
    Decision,
    DecisionDraft,
    Grade,
    Locked,
    Part,
    Quality,
    Reason,
    SiteCalibration,
    User,
    Verdict,
    Way,
)
from penlatch.moment import Clocks, Made
from penlatch.service.claims import Claim, OfPictures, Sittings
from penlatch.service.gallery import Gallery
from penlatch.service.lockout import NEAR, TERMINAL, Lockout
from penlatch.service.memory import Memory
from penlatch.service.references import References
from penlatch.service.roster import Roster
from penlatch.service.threshold import Threshold, settle
from penlatch.store.store import Limits, Store
from penlatch.store.vault import Vault
from penlatch.verify import replay
from penlatch.verify.quality import second_sitting
from penlatch.verify.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penlatch.config import Config
    from penlatch.ink import Trace
    from penlatch.store.signatures import Kind
    from penlatch.verify.course import Course
    from penlatch.verify.template import Template
    from penlatch.verify.verifier import Judgement

    _Judging = Callable[[Verifier], tuple[str | None, Judgement | None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an action was asked to do, as far as its decisions repeat it."""

    action: Action
    user: str | None
    transaction: str | None = None
    purpose: str = CHECK
    asker: Asker = UNKNOWN
    """Who began it, and may cancel it."""
    by: Way = Way.LOCAL
    """Way in which a person's signature was asked for."""

    @property
    def way(self) -> Way:
        """Way for which a failure counts; without a name, every way is an identification."""
        return self.by if self.user else Way.IDENTIFY


class Judge:
    """See the module. Construct it anywhere; call its methods in the worker thread only."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._verifier: Verifier | None = None
        self._store: Store | None = None
        self._roster: Roster | None = None
        self._gallery: Gallery | None = None
        self._memory: Memory | None = None
        self._sittings: Sittings | None = None
        self.threshold = Threshold(value=config.verify.threshold, source="configured")
        """The threshold in use, and where it comes from."""
        self._lockout = Lockout(config.lockout)
        self.models = Part(ok=False, detail="not loaded yet")
        self.database = Part(ok=False, detail="not opened yet")
        self._clocks = Clocks()
        self._last: Made | None = None
        self._people_problem = ""
        """Why nobody can be judged although the database works; empty where nothing is wrong."""

    # -- life ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models and open the database. What fails is told by `models` and `database`, not raised."""
        try:
            self._verifier = Verifier.load(self._config.verify.models, threshold=self.threshold.value)
            self.models = Part(ok=True, detail=f"{self._verifier.version[:12]} on {self._verifier.runtime}")
        except ModelError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is made for the journal; a traceback adds nothing
            self.models = Part(ok=False, detail=str(error))
        self.open_store()
        self._settle_threshold()

    def open_store(self) -> bool:
        """Open the database, where it is not; return whether it is open now. What fails is told by `database`."""
        if self._store:
            return True
        kept = self._config.store
        try:
            path = kept.path
            age = timedelta(days=kept.outbox_days) if kept.outbox_days else None
            self._store = Store.open(
                path,
                Vault.load(key_file=kept.key_file, database=path),
                Limits(decisions=kept.outbox_decisions, age=age, unjudged=kept.unjudged_per_day),
            )
            self._lockout = Lockout(self._config.lockout, self._store.lockouts())
        except StoreError as error:
            log.error("%s", error)  # noqa: TRY400 - likewise
            self.database = Part(ok=False, detail=str(error))
            self.close()
            return False
        self._gallery = Gallery(self._store, self._config.verify.models)
        self._sittings = Sittings(self._store, per_day=self._config.enroll.sittings_per_day)
        self._load_people()
        return True

    def _load_people(self) -> None:
        """Bring everybody's template into memory: all of them, or, where one does not open, none."""
        store = self._need_store()
        self._people_problem = ""
        if self._verifier:
            self._roster = Roster(store, self._verifier)
            try:
                self._roster.load()
            except StoreError as error:
                log.error("%s", error)  # noqa: TRY400 - likewise
                self._people_problem = str(error)
        try:
            self._load_memory(store)
        except StoreError as error:
            log.error("%s", error)  # noqa: TRY400 - likewise
            self._people_problem = self._people_problem or str(error)
        self.database = self._database_now()

    def _load_memory(self, store: Store) -> None:
        """Remember the signatures of before, or, where that is off, forget them."""
        if self._config.replay.enabled:
            memory = Memory(store, self._config.replay)
            memory.load()
            self._memory = memory
        elif forgotten := store.forget_signatures():
            log.info("forgot %d signatures of before: [replay] is off", forgotten)

    def _database_now(self) -> Part:
        """Return the health of a database that just worked."""
        return Part(ok=not self._people_problem, detail=self._people_problem or str(self._config.store.path))

    def close(self) -> None:
        """Close the database."""
        if self._store:
            self._store.close()
            self._store = self._roster = self._gallery = self._memory = None

    def beat(self) -> None:
        """Prove that models and database make progress, as far as they ever came up: `open` told of the others.

        Raises:
            ModelError: when the models no longer answer as they must.
            StoreError: when the database no longer takes writes.
        """
        try:
            if self.models.ok:
                self.verifier.check()
                if self._gallery:
                    self._gallery.check()
            if self._store:
                self._store.heartbeat()
                if self._memory:
                    self._memory.warm()
                self.database = self._database_now()
        except ModelError as error:
            self.models = Part(ok=False, detail=str(error))
            raise
        except StoreError as error:
            self.database = Part(ok=False, detail=str(error))
            raise

    @property
    def boot(self) -> int:
        """Which start of the daemon this is; 0 while there is no database to count in."""
        return self._store.boot if self._store else 0

    @property
    def instance(self) -> str | None:
        """Life of the database, None while it cannot be used."""
        return self._store.instance if self._store else None

    @property
    def runtime(self) -> str:
        """Name and version of the inference runtime."""
        return self._verifier.runtime if self._verifier else "none"

    @property
    def version(self) -> str:
        """Digest of the models."""
        return self._verifier.version if self._verifier else "none"

    # -- decisions -----------------------------------------------------------------------------------------------

    def locked_s(self, asked: Asked) -> float:
        """Return how long nobody is judged for what is asked [s]; 0 where they are."""
        return self._lockout.left_s(asked.user, asked.way)

    def verify(self, asked: Asked, trace: Trace, *, ended: float, attempt: int) -> Decision:
        """Decide whether `trace` is a genuine signature of the person asked for."""
        name = asked.user or ""
        if self.locked_s(asked):
            return self.note(asked, Verdict.ERROR, Reason.LOCKED, attempt=attempt, pen=trace.pen.name)
        template = self.templates.get(name)
        if template is None and self._gallery and self._gallery.knows(name):
            gallery = self._gallery
            return self._decide(
                asked,
                trace,
                lambda verifier: (name, gallery.judge(name, trace, threshold=verifier.threshold)),
                ended=ended,
                attempt=attempt,
                grade=Grade.PICTURE,
            )
        if template is None:
            reason = Reason.NOT_ENROLLED if self.models.ok else Reason.MODEL
            return self.note(asked, Verdict.ERROR, reason, attempt=attempt, pen=trace.pen.name)

        def judge(verifier: Verifier) -> tuple[str | None, Judgement | None]:
            return asked.user, verifier.verify(template, verifier.analyse(trace))

        return self._decide(asked, trace, judge, ended=ended, attempt=attempt)

    def identify(self, asked: Asked, trace: Trace, *, ended: float, attempt: int) -> Decision:
        """Decide whose signature `trace` is, if anybody's. Who comes near somebody locked learns no more than that."""
        if self.locked_s(asked):
            return self.note(asked, Verdict.ERROR, Reason.LOCKED, attempt=attempt, pen=trace.pen.name)

        def judge(verifier: Verifier) -> tuple[str | None, Judgement | None]:
            return verifier.identify(self.templates, verifier.analyse(trace)) or (None, None)

        return self._decide(asked, trace, judge, ended=ended, attempt=attempt)

    def note(self, asked: Asked, verdict: Verdict, reason: Reason, *, attempt: int, pen: str | None = None) -> Decision:
        """Record what was not judged: a retry or an error."""
        if verdict not in (Verdict.RETRY, Verdict.ERROR):
            raise ValueError(verdict)
        return self._record(asked, verdict, reason, attempt=attempt, pen=pen)

    def _decide(  # noqa: PLR0911 - one for each way in which it ends
        self,
        asked: Asked,
        trace: Trace,
        judge: _Judging,
        *,
        ended: float,
        attempt: int,
        grade: Grade = Grade.PEN,
    ) -> Decision:
        try:
            verifier = self.verifier
            course = replay.course(trace) if self._config.replay.enabled else None
            # Before it is judged, and whatever it would be judged to be: a good replay is a good signature.
            replayed = course is not None and self._need_memory().is_replay(course, asked.user)
            user, judgement = (asked.user, None) if replayed else judge(verifier)
            if course is not None and judgement and judgement.match and user != asked.user:
                # Only now it is known whose remembered signatures it may be made of.
                replayed = self._need_memory().is_replay(course, user)
            if replayed:
                return self._record(
                    asked,
                    Verdict.NO_MATCH,
                    Reason.REPLAY,
                    nearest=asked.user,
                    attempt=attempt,
                    pen=trace.pen.name,
                    latency_ms=_since(ended),
                )
        except TraceError:
            return self._record(asked, Verdict.RETRY, Reason.TOO_LITTLE_INK, attempt=attempt, pen=trace.pen.name)
        except ModelError as error:
            self.models = Part(ok=False, detail=str(error))
            log.error("%s", error)  # noqa: TRY400 - the message is made for the journal
            return self._record(asked, Verdict.ERROR, Reason.MODEL, attempt=attempt, pen=trace.pen.name)
        except StoreError as error:
            self.database = Part(ok=False, detail=str(error))
            raise
        except Exception:  # fail closed: no fault in a scorer may look like anything but an error
            log.exception("verification failed")
            return self._record(asked, Verdict.ERROR, Reason.INTERNAL, attempt=attempt, pen=trace.pen.name)
        latency_ms = _since(ended)
        if judgement is None:
            return self._record(
                asked, Verdict.ERROR, Reason.NOT_ENROLLED, attempt=attempt, pen=trace.pen.name, latency_ms=latency_ms
            )
        near = judgement.probability >= NEAR
        subject = user if near or asked.user else None
        if subject and self._lockout.left_s(subject, asked.way):
            return self._record(asked, Verdict.ERROR, Reason.LOCKED, attempt=attempt, pen=trace.pen.name)
        # A picture shows no more than shape, in which few signatures reach a raised threshold.
        raised = self._lockout.threshold(subject) if subject and subject in self.templates else 0.0
        judgement = judgement.at(raised)
        return self._record(
            asked,
            Verdict.MATCH if judgement.match else Verdict.NO_MATCH,
            judgement.reason,
            # A name that does not match is nobody's business.
            user=user if judgement.match else None,
            nearest=subject,
            near=near,
            raised=raised,
            judgement=judgement,
            grade=grade,
            attempt=attempt,
            pen=trace.pen.name,
            latency_ms=latency_ms,
            course=course,
        )

    def _record(
        self,
        asked: Asked,
        verdict: Verdict,
        reason: Reason,
        *,
        attempt: int,
        user: str | None = None,
        nearest: str | None = None,
        near: bool = True,
        raised: float = 0.0,
        pen: str | None = None,
        judgement: Judgement | None = None,
        grade: Grade | None = None,
        latency_ms: float | None = None,
        course: Course | None = None,
    ) -> Decision:
        made = self._clocks.moment()
        draft = DecisionDraft(
            terminal=self._config.terminal.name,
            time=utc_now(),
            action=asked.action,
            user=user or asked.user,
            purpose=asked.purpose,
            grade=grade,
            verdict=verdict,
            # In an enrolment, the action goes on, or ends with an event of its own.
            done=verdict is not Verdict.RETRY and asked.action is not Action.ENROLL,
            reason=reason,
            reasons=judgement.reasons if judgement else (),
            probability=judgement.probability if judgement else None,
            threshold=max(self._verifier.threshold, raised) if self._verifier else None,
            attempt=attempt,
            pen=pen,
            latency_ms=latency_ms,
            transaction=asked.transaction,
        )
        failures = self._lockout.after(verdict, [nearest] if nearest else [], at=draft.time, way=asked.way, near=near)
        kind: Kind = "matched" if verdict is Verdict.MATCH else "refused"
        shown = () if course is None else (self._need_memory().seen(course, draft.user, kind, time=draft.time),)
        try:
            decision = self._need_store().record(
                draft, made=made, way=asked.asker.way, failures=failures, seen=shown, rule=self._config.replay
            )
        except StoreError as error:
            self.database = Part(ok=False, detail=str(error))
            raise
        self._last = Made(decision, made)
        self.database = self._database_now()
        self._lockout.take(failures)
        if shown:
            self._remember()
        return decision

    # -- people --------------------------------------------------------------------------------------------------

    def enrolled_as(self, user: str) -> str | None:
        """Return under which spelling `user` is enrolled, None for nobody; whether or not the models can be used."""
        known = self._need_store().names()
        name = names.resolved(user, known)
        return name if name in known else None

    def name_of(self, user: str) -> str:
        """Return under which spelling a person of this name is known, or would be; see `names.resolved`."""
        return names.resolved(user, self._need_store().names())

    def users(self) -> list[User]:
        """List the enrolled people."""
        return self._need_store().users()

    def delete_user(self, user: str) -> None:
        """Forget a person.

        Raises:
            RequestError: `unknown_user`.
        """
        user = self.name_of(user)
        self._need_store().delete_user(user)
        if self._roster:
            self._roster.templates.pop(user, None)
        self._need_gallery().forget(user)
        self._lockout.forget(user)
        self._remember()
        if self._people_problem:
            self._load_people()
        log.info("deleted %s", user)

    def unlock(self, user: str | None, *, by: str) -> None:
        """Forget the failures of a person, or for None of the terminal.

        Args:
            user: Name of the person.
            by: Who asked for it, for the audit.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written. The lock then stays.
        """
        subject = TERMINAL if user is None else self.enrolled_as(user)
        if subject is None:
            raise RequestError(code="unknown_user", problem=f"nobody is enrolled as {user}")
        self._need_store().unlock(subject, by=by, time=utc_now())
        self._lockout.forget(subject)
        log.info("%s unlocked %s", by, user or "the terminal")

    def references_of(self, user: str, *, extend: bool) -> References:
        """Return what an enrolment of `user` starts with: nothing, or to `extend` it, all they gave before.

        Raises:
            RequestError: `already_enrolled`; to extend it, `unknown_user`, and `not_allowed` after so many sittings in
                a day as `enroll.sittings_per_day` allows.
            StoreError: if the database cannot be used.
            ModelError: if the models cannot.
        """
        min_complexity = self._config.enroll.min_complexity
        if extend:
            if self._sittings:
                self._sittings.check(user)
            earlier = tuple(self._need_roster().references(user))
            if not earlier:
                problem = f"{user} is known by pictures and gave no references yet: enrol without --continue"
                raise RequestError(code="bad_request", problem=problem)
            return References(earlier=earlier, min_complexity=min_complexity, claim=self._claim(user), name=user)
        if any(known.name == user and known.references for known in self.users()):
            problem = f"{user} is enrolled already; --continue adds references, or delete first to begin anew"
            raise RequestError(code="already_enrolled", problem=problem)
        self._need_store().check_name(user)
        return References(min_complexity=min_complexity, claim=self._claim(user))

    def _claim(self, user: str) -> Claim | None:
        """Return what signatures for this name are compared with, None for a new person."""
        if user in self.templates:
            return self._need_roster().claim(user)
        if self._need_gallery().knows(user):
            return OfPictures(user, self._need_gallery(), self.verifier.threshold)
        return None

    def refuse_reference(self, asked: Asked, trace: Trace, reason: Reason, *, attempt: int) -> Decision:
        """Record that a signature does not belong to a name that is known: it counts for the lockout."""
        claim = self._claim(asked.user or "")
        return self._record(
            asked,
            Verdict.NO_MATCH,
            reason,
            nearest=asked.user,
            grade=claim.grade if claim else None,
            attempt=attempt,
            pen=trace.pen.name,
        )

    def add_reference(self, references: References, trace: Trace) -> Reason | None:
        """Take `trace` as the next reference, or say why not; see `References.add`. A replay is never one."""
        verifier = self.verifier
        if self._config.replay.enabled:
            try:
                course = replay.course(trace)
            except TraceError:
                return Reason.TOO_LITTLE_INK
            if self._need_memory().is_replay(course, references.name) or references.repeats(course):
                return Reason.REPLAY
        return references.add(trace, verifier)

    def take_out_outlier(self, references: References) -> int | None:
        """Take out the reference that is unlike all others; see `References.take_out_outlier`."""
        return references.take_out_outlier(self.verifier)

    def enroll(self, user: str, references: References) -> Reason | None:
        """Make the template of `user` from complete references and store both; see `Roster.enroll`."""
        claim = self._claim(user)
        for given in references.accepted:
            if claim and (unlike := claim.refuses(given.trace, given.analysis)):
                return unlike
        memory = self._need_memory() if self._config.replay.enabled else None
        refused = self._need_roster().enroll(user, references, time=utc_now(), remembering=memory)
        if refused is None:
            self._need_gallery().forget(user)
            self._remember()
        return refused

    def add_picture(self, user: str, raster: bytes) -> int:
        """Take a scanned reference of `user`, and return how many they have now; see `Gallery.add`.

        One that is unlike those before it counts for the lockout, as a signature does.

        Raises:
            RequestError: those of `Gallery.add`; `not_allowed` while nobody is judged for this name.
        """
        user = self.name_of(user)
        self._need_store().check_name(user)
        asked = Asked(Action.ENROLL, user)
        if self._need_gallery().knows(user) and self.locked_s(asked):
            problem = f"too many signatures or pictures in a row did not match {user}: wait"
            raise RequestError(code="not_allowed", problem=problem)
        try:
            return self._need_gallery().add(
                user,
                raster,
                time=utc_now(),
                threshold=self.verifier.threshold,
                min_complexity=self._config.enroll.min_complexity,
            )
        except UnlikePicturesError:
            reason, grade = Reason.UNLIKE_PICTURES, Grade.PICTURE
            self._record(asked, Verdict.NO_MATCH, reason, nearest=user, grade=grade, attempt=1)
            raise

    def worth(self, user: str) -> tuple[Quality | None, str | None]:
        """Return what the references of a person are worth, and what would make the template stronger, for people.

        Raises:
            RequestError: `unknown_user`.
        """
        person = self._need_roster().find(user)
        enough = self.days(user) > 1 or person.references >= MOST_REFERENCES
        return person.quality, None if enough else second_sitting(self.verifier.metrics)

    def days(self, user: str) -> int:
        """Count the days (of UTC) on which a person gave references.

        Raises:
            RequestError: `unknown_user`.
        """
        given = self._need_roster().find(user).sittings
        return len({sitting.time.partition("T")[0] for sitting in given if sitting.origin == "enrolled"})

    def adapt(self, decision: Decision, trace: Trace) -> None:
        """Let a signature that was accepted become a reference, where [adapt] allows it; see `Roster.adapt`.

        One that was compared with a picture alone does not: a picture shows no more than a forger can copy.
        """
        if decision.user not in self.templates:
            return
        if refused := self._need_roster().adapt(decision, trace, self._config.adapt):
            log.debug("the signature of decision %d does not become a reference: %s", decision.seq, refused)

    def revert_user(self, user: str) -> int:
        """Forget the adapted references of a person and return how many; see `Roster.revert`."""
        return self._need_roster().revert(self.name_of(user), time=utc_now())

    @property
    def templates(self) -> Mapping[str, Template]:
        """Everybody's template, by name."""
        return self._roster.templates if self._roster else {}

    # -- the threshold -------------------------------------------------------------------------------------------

    def apply_calibration(self, found: SiteCalibration) -> None:
        """Keep what was calibrated, and use it where a target asks for it.

        Raises:
            StoreError: if it cannot be kept. The threshold is then as before.
        """
        self._need_store().keep_calibration(found)
        log.info("a calibration on %d people was applied", found.people)
        self._settle_threshold()

    def _settle_threshold(self) -> None:
        """Find the threshold that the configuration asks for."""
        if self._verifier is None:
            return
        kept = None
        if self._store and self._config.verify.target_fmr is not None:
            try:
                kept = self._store.calibration()
            except StoreError as error:
                log.warning("%s", error)
        self.threshold = settle(self._config.verify, kept, models=self._verifier.version)
        self._verifier.threshold = self.threshold.value
        if self.models.ok:
            detail = f"{self._verifier.version[:12]} on {self._verifier.runtime}"
            self.models = Part(ok=True, detail=f"{detail}; {self.threshold.note}" if self.threshold.note else detail)

    # -- what was decided ----------------------------------------------------------------------------------------

    def decisions(self, *, limit: int, user: str | None) -> list[Decision]:
        """List decisions, newest first."""
        return self._need_store().decisions(limit=limit, user=self.name_of(user) if user is not None else None)

    def signing_key(self) -> bytes | None:
        """Return the key with which this terminal signs its decisions, None where it does not, or cannot."""
        mqtt = self._config.mqtt
        return self._store.signing_key() if self._store and mqtt and mqtt.sign else None

    def age_s(self, decision: Decision) -> float:
        """Return the age of the decision that was recorded last; infinity for any other [s]. Any thread may ask."""
        last = self._last
        return last.age_s(self._clocks) if last and last.decision == decision else math.inf

    def pending(self, *, limit: int, after: int) -> list[Made]:
        """List decisions that the broker has not acknowledged, oldest first."""
        return self._store.pending(limit=limit, after=after) if self._store else []

    def delivered(self, seq: int, *, unheard: bool = False) -> None:
        """Take a decision out of the outbox."""
        self._need_store().delivered(seq, unheard=unheard)

    def history(self, instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
        """List decisions of an instance by their numbers."""
        return self._need_store().decisions_of(instance, first, last, limit=limit)

    def decisions_from(self) -> int | None:
        """Return the number of the oldest decision that is kept, None while the database cannot be used."""
        return self._store.decisions_from() if self._store else None

    def expire(self) -> int:
        """Take some decisions older than `store.keep_days` away and return how many, as far as the clock is right."""
        if self._store is None or not clock.synchronised():
            return 0
        return self._store.expire(keep=timedelta(days=self._config.store.keep_days), now=datetime.now(UTC))

    def counts(self) -> Counts:
        """Count what health tells."""
        locked = self._lockout.locked()
        if self._store is None:
            return Counts(locked=locked)
        audit = self._store.audit_head()
        return Counts(
            users=len(self._store.users()),
            decisions=self._store.last_seq(),
            outbox_depth=self._store.outbox_depth(),
            outbox_since=self._store.oldest_pending(),
            outbox_dropped=self._store.dropped(),
            outbox_unheard=self._store.unheard(),
            unstored=self._store.unstored(),
            locked=locked,
            audit=AuditHead(number=audit.number, mac=audit.mac),
        )

    # -- fail closed ---------------------------------------------------------------------------------------------

    @property
    def verifier(self) -> Verifier:
        """The models.

        Raises:
            ModelError: where they cannot be used.
        """
        if self._verifier is None or not self.models.ok:
            raise ModelError(path=self._config.verify.models or "models", problem=self.models.detail)
        return self._verifier

    def _need_roster(self) -> Roster:
        _ = self._need_store(), self.verifier
        if self._roster is None:
            raise StoreError(path=self._config.store.path, problem=self.database.detail)
        return self._roster

    def _need_gallery(self) -> Gallery:
        self._need_store()
        if self._gallery is None:
            raise StoreError(path=self._config.store.path, problem=self.database.detail)
        return self._gallery

    def _need_memory(self) -> Memory:
        self._need_store()
        if self._memory is None:
            problem = "what it remembers of signatures cannot be used; the journal of the start says why"
            raise StoreError(path=self._config.store.path, problem=problem)
        return self._memory

    def _remember(self) -> None:
        """Bring what is remembered of signatures in step with the store.

        What was just committed stands where that fails; nothing is judged any more.
        """
        try:
            if self._memory is not None:
                self._memory.follow()
        except StoreError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is made for the journal
            self._people_problem = str(error)
            self.database = self._database_now()
            self._memory = None

    def _need_store(self) -> Store:
        if self._store is None:
            raise StoreError(path=self._config.store.path, problem=self.database.detail)
        return self._store


class Counts(msgspec.Struct, frozen=True):
    """What health counts."""

    users: int = 0
    decisions: int = 0
    outbox_depth: int = 0
    outbox_since: str | None = None
    """When the first decision in the outbox was made."""
    outbox_dropped: int = 0
    outbox_unheard: int = 0
    unstored: int = 0
    locked: tuple[Locked, ...] = ()
    audit: AuditHead | None = None


def _since(moment: float) -> float:
    """Return how long ago a moment of the monotonic clock was [ms]."""
    return round(1e3 * (time.monotonic() - moment), 2)


def refusal(error: PenlatchError) -> RequestError:
    """Turn a fault of a part into the answer to whoever asked: unavailable, and why."""
    return error if isinstance(error, RequestError) else RequestError(code="unavailable", problem=str(error))
