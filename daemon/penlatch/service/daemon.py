"""The daemon: wires pen, judge, broker and local socket together, and keeps telling how they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from penlatch import __version__, bounded
from penlatch.bolt import doubt
from penlatch.bolt.bolt import Bolt
from penlatch.capture.listener import Listener
from penlatch.clock import utc_now
from penlatch.control.server import VarlinkServer
from penlatch.errors import PenlatchError, RequestError
from penlatch.messages import (
    CHECK,
    Action,
    Calibration,
    Decision,
    Health,
    Info,
    Part,
    Request,
    Response,
    User,
    Verb,
    Way,
)
from penlatch.report.backoff import Backoff
from penlatch.report.outgoing import Writer
from penlatch.report.publisher import Publisher
from penlatch.service import health, remote
from penlatch.service.actions import Actions
from penlatch.service.backups import Backups
from penlatch.service.calibrating import DEFAULT_TARGET, calibrate
from penlatch.service.expiring import expire_for_ever
from penlatch.service.history import History
from penlatch.service.judge import Counts, Judge, refusal
from penlatch.service.notify import Notifier
from penlatch.service.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from penlatch.config import Config
    from penlatch.messages import Event
    from penlatch.moment import Made
    from penlatch.report.signing import Signer
    from penlatch.service.signals import Signals

log = logging.getLogger(__name__)

HEALTH_PERIOD_S = 60.0
"""Health is told at least this often [s], and at once when a part of it changes or an action has ended."""
HEALTH_SETTLE_S = 0.1
"""Changes that follow each other within this time [s] are told together."""
BEAT_PERIOD_S = 30.0
"""Progress is proved at least this often [s], whether or not anybody watches."""
REOPEN_LONGEST_S = 600.0
"""A database that cannot be opened is tried again at least this often [s]; checking a large one is work."""
TASKS_LIMIT_S = 0.2
"""How long the tasks that run for ever may take to end [s]."""
GOODBYE_LIMIT_S = 0.2
"""How long the last health may take to be gathered [s]."""
CLOSE_LIMIT_S = 2.0
"""How long the database may take to close [s]; `signals.STOP_LIMIT_S` may be over before."""
PROOF_S = 5.0
"""How often progress is proved while a stop waits for the bolt [s]."""
BEAT_TIMEOUT_S = 20.0
"""A worker that does not finish its proof of progress within this time [s] hangs; the watchdog is not fed."""


class Service:
    """All verbs of the terminal, and its life from start to stop. Lives on one event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._worker = Worker()
        self._judge = Judge(config)
        self._listener = Listener(config.pen, config.segment, changed=self._health_changed)
        self._actions = Actions(
            config,
            listener=self._listener,
            judge=self._judge,
            worker=self._worker,
            decided=self._decided,
            ended=self._health_changed,
        )
        self._publisher: Publisher | None = None
        self._signer: Signer | None = None
        self._server = VarlinkServer(config.control, self)
        self._notifier = Notifier()
        self._errors = health.ErrorBook()
        self._history = History(self._rows)
        self._backups = Backups(config, changed=self._health_changed)
        marker = config.store.path.parent / doubt.NAME
        self._bolt = (
            Bolt(config.bolt, marker=marker, changed=self._health_changed, age_s=self._judge.age_s)
            if config.bolt
            else None
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._health_due = asyncio.Event()
        self.broken = asyncio.Event()
        """Set when the daemon can no longer do its work and should be started anew."""
        self._started = time.monotonic()

    async def start(self) -> None:
        """Open everything. What cannot be opened is told by health; only the socket's failure is raised.

        Raises:
            PenlatchError: when the local socket cannot be served.
        """
        await self._worker.call(self._judge.open)
        await self._server.start()
        if self._bolt:
            self._bolt.look()
        if self._config.mqtt:
            self._signer = await self._find_signer()
            self._publisher = Publisher(
                self._config.mqtt,
                terminal=self._config.terminal.name,
                boot=self._judge.boot,
                outbox=_Outbox(self._worker, self._judge),
                handle=self._handle,
                changed=self._health_changed,
                signer=self._signer,
                instance=self._judge.instance,
            )
            self._publisher.publish_info(await self.info())
            self._publisher.publish_health(remote.published(await self.status()))
            await self._publisher.start()
        self._spawn(self._listener.run(), "pen")
        self._spawn(self._tell_health(), "health")
        self._spawn(self._backups.run(), "backups")
        self._spawn(expire_for_ever(self._expire, done=self._tell_info), "expiry")
        if self._config.terminal.mode == "always":
            self._spawn(self._actions.stand_by(), "stand-by")
        self._spawn(self._keep_going(), "progress")
        self._notifier.ready(f"{self._config.terminal.mode}; {self._judge.models.detail}")

    async def stop(self, *, extend: Callable[[float], None] = lambda _: None) -> None:
        """Cancel what is under way, shut the bolt, say goodbye to the broker, and close everything.

        Each stage has a limit of its own, and a stage that fails or is late keeps none of the others from their turn.

        Args:
            extend: is told how much longer than usual this may take, for the sake of the bolt [s].
        """
        with _logged("STOPPING=1"):
            self._notifier.stopping()
        shutting = None
        if self._bolt:
            extend(self._bolt.stop_s)
            shutting = asyncio.create_task(self._bolt.stop(), name="bolt")
        await self._actions.stop()
        await bounded.end(self._tasks, within_s=TASKS_LIMIT_S)
        await self._server.stop()
        if shutting:
            await self._bolt_shut(shutting)
        if self._publisher:
            await self._publisher.stop()
        closed = await bounded.stage(self._worker.call(self._judge.close), name="database", within_s=CLOSE_LIMIT_S)
        self._worker.stop(wait=closed)

    async def _bolt_shut(self, shutting: asyncio.Task[None]) -> None:
        """Wait until the bolt is shut, or had its time, and make known how that went."""
        if not shutting.done():
            while not (await asyncio.wait({shutting}, timeout=PROOF_S))[0]:
                with _logged("WATCHDOG=1"):
                    self._notifier.watchdog()
        await bounded.ended([shutting], within_s=0)
        if self._health_due.is_set():
            await bounded.stage(self._goodbye(), name="last health", within_s=GOODBYE_LIMIT_S)

    async def _goodbye(self) -> None:
        """Publish the last health: somebody must look at a door of which the bolt may be open."""
        if self._publisher:
            self._publisher.publish_health(await self.status())

    # -- verbs ---------------------------------------------------------------------------------------------------

    def verify(
        self, user: str, *, purpose: str = CHECK, transaction: str | None = None, way: Way = Way.LOCAL
    ) -> AsyncGenerator[Event, None]:
        """Ask for one signature of `user`; see `Actions.verify`."""
        return self._actions.verify(user, purpose=purpose, transaction=transaction, way=way)

    def identify(self, *, purpose: str = CHECK, transaction: str | None = None) -> AsyncGenerator[Event, None]:
        """Ask for one signature of anybody; see `Actions.identify`."""
        return self._actions.identify(purpose=purpose, transaction=transaction)

    def enroll(
        self,
        user: str,
        *,
        references: int | None = None,
        extend: bool = False,
        transaction: str | None = None,
        way: Way = Way.LOCAL,
    ) -> AsyncGenerator[Event, None]:
        """Enrol `user`, or add references to theirs; see `Actions.enroll`."""
        return self._actions.enroll(user, references=references, extend=extend, transaction=transaction, way=way)

    async def enroll_picture(self, user: str, raster: bytes) -> int:
        """Take a scanned reference of `user`; see `Judge.add_picture`.

        Raises:
            RequestError: `already_enrolled`, `bad_request`, `busy` while references are given, `unavailable`.
        """
        if self._actions.current is Action.ENROLL:
            raise RequestError(code="busy", problem="the terminal is busy: somebody gives references")
        with _refusals():
            count = await self._worker.call(self._judge.add_picture, user, raster)
        self._health_changed()
        return count

    async def calibrate(
        self, *, target_fmr: float | None = None, apply: bool = False
    ) -> AsyncGenerator[Calibration, None]:
        """Measure the enrolled people against each other; see `calibrating.calibrate`."""
        target = target_fmr or self._config.verify.target_fmr or DEFAULT_TARGET
        async for step in calibrate(self._worker, self._judge, target=target, apply=apply):
            yield step
        if apply and self._publisher:
            self._publisher.publish_info(await self.info())
        self._health_changed()

    async def cancel(self) -> Action:
        """End the action under way; see `Actions.cancel`."""
        return await self._actions.cancel()

    def monitor(self) -> AsyncGenerator[Event, None]:
        """Tell every event; see `Actions.monitor`."""
        return self._actions.monitor()

    async def list_users(self) -> list[User]:
        """List the enrolled people.

        Raises:
            RequestError: `unavailable`.
        """
        with _refusals():
            return await self._worker.call(self._judge.users)

    async def delete_user(self, name: str) -> None:
        """Forget a person.

        Raises:
            RequestError: `unknown_user`, `unavailable`.
        """
        with _refusals():
            await self._worker.call(self._judge.delete_user, name)
        self._health_changed()

    async def unlock(self, user: str | None, *, by: str) -> None:
        """End the lock of a person, or for None of the terminal; see `Judge.unlock`.

        Raises:
            RequestError: `unknown_user`, `unavailable`.
        """
        with _refusals():
            await self._worker.call(self._judge.unlock, user, by=by)
        self._health_changed()

    async def revert_user(self, name: str) -> int:
        """Forget the adapted references of a person, and return how many there were.

        Raises:
            RequestError: `unknown_user`, `busy` while references are given, `unavailable`.
        """
        if self._actions.current is Action.ENROLL:
            raise RequestError(code="busy", problem="the terminal is busy: somebody gives references")
        with _refusals():
            return await self._worker.call(self._judge.revert_user, name)

    async def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        """List decisions, newest first.

        Raises:
            RequestError: `unavailable`.
        """
        with _refusals():
            return await self._worker.call(self._judge.decisions, limit=limit, user=user)

    def history(self, *, instance: str, first: int, last: int) -> AsyncGenerator[Response, None]:
        """Give decisions of before again; see `History.answer`."""
        only = self._config.mqtt is not None and self._config.mqtt.sign == "only"
        return self._history.answer(instance=instance, first=first, last=last, writer=Writer(self._signer, only=only))

    async def info(self) -> Info:
        """Tell what this terminal is."""
        return Info(
            terminal=self._config.terminal.name,
            version=__version__,
            mode=self._config.terminal.mode,
            purpose=self._config.terminal.purpose if self._config.terminal.mode == "always" else None,
            threshold=self._judge.threshold.value,
            threshold_from=self._judge.threshold.source,
            target_fmr=self._config.verify.target_fmr,
            models=self._judge.version,
            runtime=self._judge.runtime,
            requests=self._config.mqtt.requests if self._config.mqtt else (),
            boot=self._judge.boot,
            key=self._signer.jwk if self._signer else None,
            instance=self._judge.instance or msgspec.UNSET,
            decisions_from=await self._decisions_from(),
        )

    async def status(self) -> Health:
        """Tell how this terminal is."""
        self._listener.look()
        if self._bolt:
            self._bolt.look()
        try:
            counts = await self._worker.call(self._judge.counts)
            database = self._judge.database
        except PenlatchError as error:
            counts, database = Counts(), Part(ok=False, detail=str(error))
        broker = self._broker_health()
        parts = {
            "pen": self._listener.health,
            "models": self._judge.models,
            "store": database,
            "outbox": _outbox_health(counts, broker),
            "broker": broker,
            "clock": health.time_of_day(),
            "disk": health.disk(self._config.store.path.parent),
        }
        if self._bolt:
            parts["bolt"] = self._bolt.health
        if self._backups.health:
            parts["backup"] = self._backups.health
        if certificate := self._certificate:
            parts["certificate"] = health.certificate(certificate)
        return Health(
            ok=all(part.ok for part in parts.values()),
            time=utc_now(),
            action=self._actions.current,
            **{name: self._errors.note(name, part) for name, part in parts.items()},
            users=counts.users,
            decisions=counts.decisions,
            outbox_depth=counts.outbox_depth,
            outbox_age_s=health.age_s(counts.outbox_since),
            outbox_dropped=counts.outbox_dropped,
            outbox_unheard=counts.outbox_unheard,
            instance=self._judge.instance or msgspec.UNSET,
            instance_jws=msgspec.UNSET,
            unstored=counts.unstored,
            lockouts=counts.locked,
            audit=counts.audit,
            uptime_s=round(time.monotonic() - self._started, 1),
        )

    @property
    def _certificate(self) -> Path | None:
        """The terminal's own certificate."""
        mqtt = self._config.mqtt
        return mqtt.tls.cert_file if mqtt and mqtt.tls else None

    def _broker_health(self) -> Part:
        if self._publisher is None:
            return Part(ok=True, detail="no broker is configured")
        return self._publisher.health()

    # -- what goes on beside the verbs ---------------------------------------------------------------------------

    def _decided(self, decision: Decision) -> None:
        if self._bolt:
            self._bolt.decided(decision)
        if self._publisher:
            self._publisher.wake()

    async def _rows(self, instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
        with _refusals():
            return await self._worker.call(self._judge.history, instance, first, last, limit=limit)

    async def _expire(self) -> int:
        return await self._worker.call(self._judge.expire)

    async def _tell_info(self) -> None:
        if self._publisher:
            self._publisher.publish_info(await self.info())

    async def _decisions_from(self) -> int | None:
        try:
            return await self._worker.call(self._judge.decisions_from)
        except PenlatchError:  # health tells
            return None

    def _handle(self, verb: Verb, request: Request) -> AsyncIterator[Response]:
        allowed = self._config.mqtt.requests if self._config.mqtt else ()
        return remote.answer(self, verb, request, may_list="list_users" in allowed)

    def _health_changed(self) -> None:
        self._health_due.set()

    async def _tell_health(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEALTH_PERIOD_S):
                    await self._health_due.wait()
            await asyncio.sleep(HEALTH_SETTLE_S)
            self._health_due.clear()
            now = await self.status()
            faults = [f"{name}: {part.detail}" for name in PARTS if (part := getattr(now, name)) and not part.ok]
            self._notifier.status("; ".join(faults) or "well")
            if self._publisher:
                self._publisher.publish_health(remote.published(now))

    async def _find_signer(self) -> Signer | None:
        key = await self._worker.call(self._judge.signing_key)
        if key is None:
            return None
        from penlatch.report.signing import Signer  # noqa: PLC0415 - only terminals that sign pay for it

        return Signer(key)

    async def _keep_going(self) -> None:
        """Prove progress now and then, and open a database that could not be opened: its fault may be over.

        The watchdog is fed only when the loop, the models and the database have all just made progress.
        """
        interval_s = min(self._notifier.watchdog_interval_s() or BEAT_PERIOD_S, BEAT_PERIOD_S)
        retry = Backoff(first_s=interval_s, longest_s=REOPEN_LONGEST_S)
        reopen_at = time.monotonic() + retry.next()
        while True:
            if not self._judge.boot and time.monotonic() >= reopen_at:
                await self._reopen()
                reopen_at = time.monotonic() + retry.next()
            was_well = self._judge.database.ok and self._judge.models.ok
            try:
                async with asyncio.timeout(BEAT_TIMEOUT_S):
                    await self._worker.call(self._judge.beat)
            except (PenlatchError, TimeoutError) as error:
                log.error("no progress, the watchdog is not fed: %s", error or "the worker hangs")  # noqa: TRY400 - made for the journal
                self._health_changed()
            else:
                self._notifier.watchdog()
                if not was_well:
                    self._health_changed()
            await asyncio.sleep(interval_s)

    async def _reopen(self) -> None:
        """Try the database again; where it opens, this is a start like any other, and is told as one."""
        if await self._worker.call(self._judge.open_store):
            log.info("the database can be used again: start %d", self._judge.boot)
            if self._publisher:
                self._signer = await self._find_signer()
                self._publisher.start_over(self._judge.boot, self._signer, self._judge.instance)
                self._publisher.publish_info(await self.info())
            self._health_changed()

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Bring the process down when a part that must run for ever ends by a fault: systemd starts a whole one."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("%s ended: %r", task.get_name(), error, exc_info=error)
            self.broken.set()


PARTS = ("pen", "models", "store", "outbox", "broker", "clock", "disk", "bolt", "backup", "certificate")
"""What health tells of, part by part; the last three only where there are any."""


def _outbox_health(counts: Counts, broker: Part) -> Part:
    detail = f"{counts.outbox_depth} waiting"
    if counts.outbox_dropped:
        detail += f", {counts.outbox_dropped} dropped since the first start"
    return Part(ok=broker.ok or counts.outbox_depth == 0, detail=detail)


class _Outbox:
    """The store's outbox, reached through the worker."""

    def __init__(self, worker: Worker, judge: Judge) -> None:
        self._worker = worker
        self._judge = judge

    async def pending(self, *, limit: int, after: int) -> list[Made]:
        return await self._worker.call(self._judge.pending, limit=limit, after=after)

    async def delivered(self, seq: int, *, unheard: bool = False) -> None:
        await self._worker.call(self._judge.delivered, seq, unheard=unheard)


@contextlib.contextmanager
def _logged(word: str) -> Iterator[None]:
    """Go on where systemd does not take a word: it is not there any more to be told."""
    try:
        yield
    except OSError as error:
        log.warning("systemd does not hear %s: %s", word, error)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except PenlatchError as error:
        raise refusal(error) from error


async def run(config: Config, signals: Signals) -> int:
    """Run the daemon until SIGTERM or SIGINT.

    Args:
        config: the configuration.
        signals: hears them already; it ends the process by force where the stop hangs.

    Returns:
        The exit status of the process: 0 after a clean stop, 1 where a part of the daemon failed.
    """
    service = Service(config)
    stop = asyncio.Event()
    signals.tell(asyncio.get_running_loop(), stop.set)
    stopping = asyncio.create_task(stop.wait(), name="signal")
    starting = asyncio.create_task(service.start(), name="start")
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        await starting  # raises what kept it from its start
        log.info("%s is ready", config.terminal.name)
        broken = asyncio.create_task(service.broken.wait(), name="broken")
        await asyncio.wait({stopping, broken}, return_when=asyncio.FIRST_COMPLETED)
        broken.cancel()
    signals.stopping()
    log.info("stopping")
    await bounded.end([starting], within_s=TASKS_LIMIT_S)
    await service.stop(extend=signals.extend)
    stopping.cancel()
    return int(service.broken.is_set())
