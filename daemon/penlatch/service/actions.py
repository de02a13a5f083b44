"""Actions: the state machine idle → verify | identify | enroll → idle. One at a time, each with an end of its own.

The pattern is that of fprintd: progress is told as it happens, a bad capture is a retry, and whoever asked and
then vanished has cancelled. Time limits and cancelling take effect while a signature is awaited, never between a
judgement and its record, so that an action has exactly one terminal result.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from penlatch.asker import PAD, asking
from penlatch.bounded import end, ended
from penlatch.capture.segmenter import Signature
from penlatch.errors import PenlatchError, RequestError, UnstoredError
from penlatch.messages import CHECK, MOST_REFERENCES, Action, Armed, Decision, Enrollment, Event, Reason, Verdict, Way
from penlatch.service.judge import Asked, refusal
from penlatch.service.monitors import Monitors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    from penlatch.capture.listener import Listener
    from penlatch.capture.segmenter import Capture
    from penlatch.config import Config
    from penlatch.ink import Trace
    from penlatch.service.judge import Judge
    from penlatch.service.references import References
    from penlatch.service.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

RECORD_LIMIT_S = 0.5
"""How long a stop waits for the record of what is under way [s]."""
LET_GO_S = 0.1
"""How long cancelled work may take to end [s]."""
OVERTIME_LOOK_S = 0.05
"""How often an action whose time is over looks whether the person has finished signing [s]."""
STRANGERS = 3
"""Signatures in a row that do not belong to a known name and so end its enrolment."""
STRANGE = frozenset({Reason.DISAGREES, Reason.UNLIKE_PICTURES, Reason.REPLAY})
"""Reasons of a refusal that count for the lockout where the name is known."""
REPLACEMENTS = 2
"""How many outliers an enrolment replaces; whoever signs so differently is taken as they are."""


@dataclass(slots=True)
class _Run:
    """An action under way."""

    asked: Asked
    deadline: float
    """When it must have an end, on the event loop's clock [s]."""
    captures: int = 0
    """Captures of an enrolment so far."""
    strange: int = 0
    """Signatures in a row that do not belong to the name."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Queue[Event | PenlatchError | None] = field(default_factory=asyncio.Queue)
    """What the asker hears: events, then None or what went wrong."""


class Actions:
    """The state machine. Everything here runs on the event loop."""

    def __init__(
        self,
        config: Config,
        *,
        listener: Listener,
        judge: Judge,
        worker: Worker,
        decided: Callable[[Decision], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Use `listener` for captures and `judge`, in `worker`, for decisions.

        `decided` hears each decision that was committed; `ended` is called at the end of each action, however it came:
        the parts that it used may be worse or better than before.
        """
        self._config = config
        self._listener = listener
        self._judge = judge
        self._worker = worker
        self._decided = decided
        self._ended = ended
        self._run: _Run | None = None
        self._standing_by = self._stopping = False
        self._unasked: asyncio.Future[Capture] | None = None
        """The capture that a stand-by waits for."""
        self._claimed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._monitors = Monitors()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> Action:
        """What the terminal is doing with the pen."""
        return self._run.asked.action if self._run else Action.IDLE

    # -- verbs ---------------------------------------------------------------------------------------------------

    async def verify(
        self, user: str, *, purpose: str = CHECK, transaction: str | None = None, way: Way = Way.LOCAL
    ) -> AsyncGenerator[Event, None]:
        """Ask for one signature of `user` for a purpose. The last event is a decision with `done`.

        Raises:
            RequestError: `busy`, `unknown_user`, `unavailable`; `not_allowed` for another purpose where the pad is
                for one alone.
        """
        self._allow(purpose)
        user = await self._require(user)
        asked = Asked(Action.VERIFY, user, transaction, purpose=purpose, by=way, asker=asking())
        flow = self._judging(self._judge.verify)
        async with contextlib.aclosing(self._perform(asked, flow, self._config.verify.timeout_s)) as events:
            async for event in events:
                yield event

    async def identify(self, *, purpose: str = CHECK, transaction: str | None = None) -> AsyncGenerator[Event, None]:
        """Ask for one signature of anybody for a purpose. The last event is a decision with `done`.

        Raises:
            RequestError: `busy`, `unavailable`; `not_allowed` for another purpose where the pad is for one alone.
        """
        self._allow(purpose)
        asked = Asked(Action.IDENTIFY, None, transaction, purpose=purpose, asker=asking())
        flow = self._judging(self._judge.identify)
        async with contextlib.aclosing(self._perform(asked, flow, self._config.verify.timeout_s)) as events:
            async for event in events:
                yield event

    async def enroll(
        self,
        user: str,
        *,
        references: int | None = None,
        extend: bool = False,
        transaction: str | None = None,
        way: Way = Way.LOCAL,
    ) -> AsyncGenerator[Event, None]:
        """Take `references` signatures of `user` (None: the configured number) and enrol them.

        With `extend`, they are added to those of a person who is enrolled, up to `MOST_REFERENCES` in all.

        Raises:
            RequestError: `busy`, `already_enrolled`, `unavailable`; to extend, `unknown_user`, and `bad_request` where
                there is no room for so many.
        """
        user = await self._call(self._judge.name_of, user)
        begun = await self._call(self._judge.references_of, user, extend=extend)
        asked = Asked(Action.ENROLL, user, transaction, by=way, asker=asking())
        room = MOST_REFERENCES - len(begun.earlier)
        stages = min(self._config.enroll.references, room) if references is None else references
        if not 0 < stages <= room:
            problem = f"{user} has {len(begun.earlier)} references; of {MOST_REFERENCES}, {room} are left to give"
            raise RequestError(code="bad_request", problem=problem)

        async def flow(run: _Run) -> None:
            await self._enrolling(run, user, begun, stages)

        async with contextlib.aclosing(self._perform(asked, flow, self._config.enroll.timeout_s)) as events:
            async for event in events:
                yield event

    async def cancel(self) -> Action:
        """End the action under way, and return which it was.

        Raises:
            RequestError: `nothing_to_cancel`, also for an action that this asker did not begin and may not end.
        """
        if self._run is None:
            raise RequestError(code="nothing_to_cancel", problem="the terminal is idle")
        if not asking().may_end(self._run.asked.asker):
            problem = "somebody else began what is under way: they can end it, and root at the terminal can"
            raise RequestError(code="nothing_to_cancel", problem=problem)
        action = self.current
        self._run.cancelled.set()
        await self._idle.wait()
        return action

    def monitor(self) -> AsyncGenerator[Event, None]:
        """Tell every event of every action; see `Monitors.listen`."""
        return self._monitors.listen()

    async def stand_by(self) -> None:
        """Identify whoever signs while nothing else is asked (`mode = "always"`), until cancelled."""
        while True:
            await self._idle.wait()
            self._claimed.clear()
            self._standing_by = True
            self._listener.arm()
            self._unasked = captured = asyncio.ensure_future(self._listener.capture())
            claimed = asyncio.ensure_future(self._claimed.wait())
            try:
                await asyncio.wait({captured, claimed}, return_when=asyncio.FIRST_COMPLETED)
                self._standing_by = False
                # Not `claimed.done()`: that comes a turn of the loop after the claim.
                if not self._claimed.is_set():
                    await self._identify_unasked(captured.result())
            finally:
                self._standing_by = False
                captured.cancel()
                claimed.cancel()

    async def stop(self) -> None:
        """Cancel what is under way and wait for its record; bounded in time, for the worker may hang."""
        self._stopping = True
        if self._run:
            self._run.cancelled.set()
        if not await ended(set(self._tasks), within_s=RECORD_LIMIT_S):
            await end(set(self._tasks), within_s=LET_GO_S)
        self._monitors.close()

    # -- the life of one action ----------------------------------------------------------------------------------

    async def _perform(
        self, asked: Asked, flow: Callable[[_Run], Awaitable[None]], limit_s: float
    ) -> AsyncGenerator[Event, None]:
        if self._stopping:
            raise RequestError(code="unavailable", problem="the terminal is stopping")
        if self._run is not None or self._somebody_signs_unasked:
            doing = self.current.value if self._run else f"somebody signs for `{self._config.terminal.purpose}`"
            raise RequestError(code="busy", problem=f"the terminal is busy: {doing}")
        run = self._claim(asked, limit_s)
        task = self._spawn(self._live(run, flow), asked.action.value)
        try:
            while (told := await run.told.get()) is not None:
                if isinstance(told, PenlatchError):
                    raise refusal(told)
                yield told
        finally:
            run.cancelled.set()
            # Whoever asked may be gone, and this generator cancelled with them: the record is finished all the same.
            await asyncio.wait({task})

    @property
    def _somebody_signs_unasked(self) -> bool:
        """True from the first ink of a stand-by signature until it is judged: it belongs to no request."""
        taken = self._unasked is not None and self._unasked.done()
        return self._standing_by and (self._listener.signing or taken)

    def _allow(self, purpose: str) -> None:
        """Refuse a request where nothing at the pad shows that it is for another purpose than the pad is."""
        terminal = self._config.terminal
        if terminal.mode == "always" and terminal.exclusive and purpose != terminal.purpose:
            problem = f"this pad is for `{terminal.purpose}` alone (terminal.exclusive), not for `{purpose}`"
            raise RequestError(code="not_allowed", problem=problem)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Begin what `stop` will wait for."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _claim(self, asked: Asked, limit_s: float) -> _Run:
        self._run = run = _Run(asked, asyncio.get_running_loop().time() + limit_s)
        self._idle.clear()
        self._claimed.set()
        return run

    def _release(self) -> None:
        self._listener.disarm()
        self._run = None
        self._idle.set()
        self._ended()

    async def _live(self, run: _Run, flow: Callable[[_Run], Awaitable[None]]) -> None:
        """Take one action from claim to idle, whatever happens in it."""
        outcome: PenlatchError | None = RequestError(code="unavailable", problem="the terminal stopped")
        try:
            await flow(run)
            outcome = None
        except UnstoredError as error:
            log.debug("%s of %s: %s", run.asked.action.value, run.asked.user, error)  # a flood fills no journal either
            outcome = error
        except PenlatchError as error:
            log.error("%s of %s failed: %s", run.asked.action.value, run.asked.user, error)  # noqa: TRY400 - made for the journal
            outcome = error
        except Exception:
            log.exception("%s of %s failed", run.asked.action.value, run.asked.user)
            outcome = RequestError(code="unavailable", problem="an internal fault; see the journal")
        finally:
            self._release()
            run.told.put_nowait(outcome)  # also where this was cancelled: the asker still waits

    async def _identify_unasked(self, capture: Capture) -> None:
        asked = Asked(Action.IDENTIFY, None, purpose=self._config.terminal.purpose, asker=PAD)
        run = self._claim(asked, self._config.verify.timeout_s)
        try:
            await self._judge_capture(run, self._judge.identify, capture, attempt=1)
        except UnstoredError as error:
            log.debug("identification: %s", error)
        except PenlatchError as error:
            log.error("identification failed: %s", error)  # noqa: TRY400 - the message is made for the journal
        finally:
            self._release()

    # -- flows ---------------------------------------------------------------------------------------------------

    def _judging(self, decide: Callable[..., Decision]) -> Callable[[_Run], Awaitable[None]]:
        """Return the flow of verification and identification, which differ in how they `decide`."""

        async def flow(run: _Run) -> None:
            if not self._listener.present:
                await self._note(run, Verdict.ERROR, Reason.NO_PEN, attempt=1)
                return
            if await self._worker.call(self._judge.locked_s, run.asked):
                await self._note(run, Verdict.ERROR, Reason.LOCKED, attempt=1)
                return
            self._listener.arm()
            tries = self._config.verify.tries
            for attempt in range(1, tries + 1):
                capture = await self._next_capture(run, attempt)
                if isinstance(capture, Reason):
                    await self._note(run, Verdict.ERROR, capture, attempt=attempt)
                    return
                try:
                    decision = await self._judge_capture(run, decide, capture, attempt=attempt)
                except UnstoredError as error:
                    if error.verdict != Verdict.RETRY:
                        raise
                    continue  # the person may sign again, as after a retry that is stored
                if decision.done:
                    return
            await self._note(run, Verdict.ERROR, Reason.TOO_MANY_RETRIES, attempt=tries)

        return flow

    async def _judge_capture(
        self, run: _Run, decide: Callable[..., Decision], capture: Capture, *, attempt: int
    ) -> Decision:
        if not isinstance(capture, Signature):
            return await self._note(run, Verdict.RETRY, capture.reason, attempt=attempt)
        decision = await self._worker.call(decide, run.asked, capture.trace, ended=capture.ended, attempt=attempt)
        self._tell(run, decision)
        if decision.verdict is Verdict.MATCH and run.asked.action is not Action.ENROLL:
            self._spawn(self._adapt(decision, capture.trace), "adapt")
        return decision

    async def _adapt(self, decision: Decision, trace: Trace) -> None:
        """Let the template learn from a match that was told already: nobody waits for it, and it may fail."""
        try:
            await self._worker.call(self._judge.adapt, decision, trace)
        except PenlatchError as error:
            log.warning("no reference was made of decision %d: %s", decision.seq, error)

    async def _enrolling(self, run: _Run, user: str, references: References, stages: int) -> None:
        def tell(outcome: str, reason: Reason | None = None, **more: Any) -> None:
            self._tell(
                run,
                Enrollment(
                    user=user,
                    outcome=outcome,  # type: ignore[arg-type]  # each caller below names one of the literals
                    done=outcome in {"enrolled", "error"},
                    reason=reason,
                    stage=len(references.accepted),
                    stages=stages,
                    extend=bool(references.earlier),
                    transaction=run.asked.transaction,
                    **more,
                ),
            )

        if not self._listener.present:
            tell("error", Reason.NO_PEN)
            return
        locked_s = await self._worker.call(self._judge.locked_s, run.asked)
        if references.claim and locked_s:
            tell("error", Reason.LOCKED)
            return
        self._listener.arm()
        refused = await self._open_sitting(run) if references.earlier else None
        refused = refused or await self._take_references(run, references, stages, tell)
        refused = refused or await self._worker.call(self._judge.enroll, user, references)
        if refused:
            tell("error", refused)
            return
        quality, advice = await self._worker.call(self._judge.worth, user)
        tell("enrolled", quality=quality, advice=advice)

    async def _open_sitting(self, run: _Run) -> Reason | None:
        """Ask for one signature that matches, before a person who is enrolled gives more references.

        It is a decision like any other, and it opens nothing: `done` is false, since the enrolment goes on.

        Returns:
            Why the sitting may not begin, None where it may.
        """
        for _ in range(self._config.verify.tries):
            run.captures += 1
            capture = await self._next_capture(run, run.captures)
            if isinstance(capture, Reason):
                return capture
            try:
                decision = await self._judge_capture(run, self._judge.verify, capture, attempt=run.captures)
            except UnstoredError as error:
                if error.verdict != Verdict.RETRY:
                    raise
                continue  # the person may sign again, as after a retry that is stored
            if decision.verdict is not Verdict.RETRY:
                return None if decision.verdict is Verdict.MATCH else decision.reason
        return Reason.TOO_MANY_RETRIES

    async def _take_references(
        self, run: _Run, references: References, stages: int, tell: Callable[..., None]
    ) -> Reason | None:
        """Take captures until `references` are complete and none is unlike all others; return why that failed."""
        for replaced in range(REPLACEMENTS + 1):
            end = await self._fill(run, references, stages, tell)
            if end is not None or replaced == REPLACEMENTS:
                return end
            odd = await self._worker.call(self._judge.take_out_outlier, references)
            if odd is None:
                return None
            tell("retry", Reason.OUTLIER, replaces=odd)
        return None

    async def _fill(self, run: _Run, references: References, stages: int, tell: Callable[..., None]) -> Reason | None:
        """Take captures until there are `stages` references; return why that failed."""
        while len(references.accepted) < stages:
            run.captures += 1
            capture = await self._next_capture(run, run.captures)
            if isinstance(capture, Reason):
                return capture
            if not isinstance(capture, Signature):
                tell("retry", capture.reason)
                continue
            refused = await self._worker.call(self._judge.add_reference, references, capture.trace)
            if references.claim:
                end = await self._count_strangers(run, capture, refused)
                if end is not None:
                    return end
            if refused:
                tell("retry", refused)
            elif len(references.accepted) < stages:
                tell("accepted")
        return None

    async def _count_strangers(self, run: _Run, capture: Signature, refused: Reason | None) -> Reason | None:
        """Record a signature that does not belong to the name: the lockout counts it like any that does not match.

        Returns:
            Why that ends the enrolment, None where it goes on.
        """
        if refused is None or refused not in STRANGE:
            run.strange = 0
            return None
        run.strange += 1
        record = self._judge.refuse_reference
        self._tell(run, await self._worker.call(record, run.asked, capture.trace, refused, attempt=run.captures))
        if await self._worker.call(self._judge.locked_s, run.asked):
            return Reason.LOCKED
        return refused if run.strange >= STRANGERS else None

    async def _next_capture(self, run: _Run, attempt: int) -> Capture | Reason:
        """Wait for a capture; return TIMEOUT or CANCELLED where none comes. Nobody is cut off while signing."""
        clock = asyncio.get_running_loop().time
        self._tell(
            run,
            Armed(
                action=run.asked.action,
                user=run.asked.user,
                purpose=run.asked.purpose,
                attempt=attempt,
                timeout_s=round(max(0.0, run.deadline - clock()), 3),
                transaction=run.asked.transaction,
            ),
        )
        captured = asyncio.ensure_future(self._listener.capture())
        cancelled = asyncio.ensure_future(run.cancelled.wait())
        try:
            while True:
                left_s = run.deadline - clock()
                if left_s <= 0 and not self._listener.signing:
                    return Reason.TIMEOUT
                await asyncio.wait(
                    {captured, cancelled},
                    timeout=max(left_s, OVERTIME_LOOK_S),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if captured.done():
                    return captured.result()
                if cancelled.done():
                    return Reason.CANCELLED
        finally:
            captured.cancel()
            cancelled.cancel()

    # -- telling -------------------------------------------------------------------------------------------------

    async def _note(self, run: _Run, verdict: Verdict, reason: Reason, *, attempt: int) -> Decision:
        decision = await self._worker.call(
            self._judge.note, run.asked, verdict, reason, attempt=attempt, pen=self._listener.name
        )
        self._tell(run, decision)
        return decision

    def _tell(self, run: _Run, event: Event) -> None:
        if isinstance(event, Decision):
            log.info("decision %d: %s %s: %s (%s)", event.seq, event.action, event.user, event.verdict, event.reason)
            self._decided(event)
        run.told.put_nowait(event)
        self._monitors.tell(event)

    async def _require(self, user: str) -> str:
        """Return the name of somebody who is enrolled, in the spelling under which they are known."""
        # One call, so that no signature is judged between two of them.
        if (known := await self._call(self._judge.enrolled_as, user)) is None:
            raise RequestError(code="unknown_user", problem=f"nobody is enrolled as {user}")
        return known

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call into the worker on behalf of an asker, who is answered `unavailable` where a part is broken."""
        try:
            return await self._worker.call(function, *args, **kwargs)
        except PenlatchError as error:
            raise refusal(error) from error
