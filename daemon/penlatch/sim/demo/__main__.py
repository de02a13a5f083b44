"""`python -m penlatch.sim.demo`: synthetic people sign on an emulated tablet, and a real daemon decides."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from penlatch.errors import PenlatchError
from penlatch.messages import Armed, Enrollment, Verdict
from penlatch.sim.demo.broker import HOST, Broker
from penlatch.sim.demo.cast import USER, Attempt, Cast, Kind, Visit
from penlatch.sim.demo.interrupts import Interrupts
from penlatch.sim.demo.stage import Stage
from penlatch.sim.demo.terminal import NAME, Terminal
from penlatch.sim.demo.witness import Witness
from penlatch.sim.tablet import Isdv4Tablet

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.messages import Decision

REFERENCES = 5
"""Signatures of an enrolment, as the daemon asks for by default."""
SPARE_REFERENCES = 2
"""So many may be refused as unlike the others: people are not machines."""
MOST_REPETITIONS = 5
"""Signatures of one demo that are written again because a busy machine held up the pen."""

_READY_LIMIT_S = 60.0
"""How long the daemon may take to be well after its start, on a small board under load [s]."""
_ARM_LIMIT_S = 10.0
"""How long it may take to wait for a signature once asked [s]."""
_DECIDE_LIMIT_S = 15.0
"""How long a decision may take after the pen is away, the pen-up wait included [s]."""
_PEN_LIMIT_S = 20.0
"""How long the daemon may take to notice that the tablet was unplugged or plugged in [s]."""


class Demo:
    """One demo, from the start of the broker to the stop of the daemon."""

    def __init__(self, seed: int, folder: Path, interrupts: Interrupts) -> None:
        """Prepare the demo of the people numbered `seed`, which keeps its files in `folder`."""
        self._interrupts = interrupts
        self._seed = seed
        self._cast = Cast(seed)
        self._stage = Stage()
        self._broker = Broker(folder / "broker.txt")
        self._tablet = Isdv4Tablet()
        self._device = f"isdv4:{self._tablet.path}"
        self._terminal = Terminal(folder, device=self._device, broker_port=self._broker.port)
        self._witness = Witness(NAME, HOST, self._broker.port, watch=self._terminal.check)
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="hand")
        self._counts: Counter[tuple[Kind, Verdict]] = Counter()
        self._references = self._refused = self._visits = 0
        self._faults: list[str] = []
        self._repetitions = 0
        self._torn = False
        self._started = time.monotonic()

    def run(self, *, watch: bool) -> bool:
        """Play the demo; with `watch`, go on until Ctrl-C. Return whether all happened as it should.

        What is begun here is put away here, and no signal comes between: see `Interrupts`.
        """
        stage = self._stage
        with ExitStack() as stack:
            stack.enter_context(self._broker)
            stack.callback(self._hands.shutdown, wait=False)
            stack.enter_context(self._tablet)
            stack.enter_context(self._witness)
            stage.title("A terminal starts")
            stage.say(f"    broker    mqtt://{HOST}:{self._broker.port}, inside this process (MQTT 3.1.1)")
            stage.say(f"    tablet    {self._device}, emulated")
            try:
                stack.enter_context(self._terminal)
                stage.say(f"    daemon    penlatch run --config {self._terminal.config} (process {self._terminal.pid})")
                with self._interrupts.allowed():
                    self._play(watch=watch)
            except (PenlatchError, OSError, RuntimeError, msgspec.MsgspecError) as error:
                self._fault(str(error))
        self._check_the_end()
        if self._faults:
            self._show_journal()
        stage.say()
        stage.say(msgspec.json.encode(self._summary()).decode())
        return not self._faults

    # -- what happens --------------------------------------------------------------------------------------------

    def _play(self, *, watch: bool) -> None:
        self._witness.health(lambda health: health.ok, limit_s=_READY_LIMIT_S, otherwise="it is not well")
        self._enroll()
        self._verify_all(watch=watch)

    def _enroll(self) -> None:
        stage = self._stage
        stage.title(f"penlatch enroll {USER}")
        trace = None
        with contextlib.closing(self._terminal.enroll(USER)) as events:
            for event in events:
                match event:
                    case Armed():
                        if event.attempt > REFERENCES + SPARE_REFERENCES + self._repetitions:
                            raise RuntimeError(f"{USER} signs so differently each time that she cannot be enrolled")
                        trace = self._cast.reference()
                        self._sign(trace)
                    case Enrollment() if trace is not None:
                        told = f"reference {event.stage} of {event.stages}"
                        if event.outcome == "retry":
                            self._refused += 1
                            self._repetitions += self._tablet.torn
                            told = f"refused: {event.reason}"
                        self._references = event.stage
                        stage.written(trace, beside=[told])
        if self._references != REFERENCES:
            self._fault(f"{self._references} references were taken instead of {REFERENCES}")
        stage.say(f"    {USER} is enrolled.")

    def _verify_all(self, *, watch: bool) -> None:
        stage = self._stage
        stage.title(f"Verification: penlatch/{NAME}/request/verify asks, penlatch/{NAME}/decision answers")
        for visit in self._cast.programme():
            self._visit(visit)
        if watch:
            stage.title("And so on, until Ctrl-C")
            try:
                for visit in self._cast.encore():
                    self._visit(visit)
            except KeyboardInterrupt:
                stage.title("Ctrl-C")

    def _visit(self, visit: Visit) -> None:
        transaction, number = "", 0
        waiting = list(visit)
        while waiting:
            if not transaction:
                self._visits += 1
                transaction, number = f"visit-{self._visits}", 0
                self._witness.ask_for(USER, transaction=transaction)
            number += 1
            self._witness.armed(transaction, attempt=number, limit_s=_ARM_LIMIT_S)
            decision = self._attempt(waiting[0], transaction=transaction, number=number)
            if decision.done:
                transaction = ""
            if not self._torn:
                del waiting[0]

    def _attempt(self, attempt: Attempt, *, transaction: str, number: int) -> Decision:
        """Have one signature decided; `_torn` says afterwards that it must be written again."""
        stage = self._stage
        stage.say()
        stage.say(f"  {click.style(attempt.kind.value, bold=True)}: {attempt.story}")
        self._sign(attempt.trace, until_s=attempt.pulled_s)
        if attempt.pulled_s is not None:
            self._tablet.unplug()
        decision = self._witness.decision(limit_s=_DECIDE_LIMIT_S)
        faults = attempt.faults(decision)
        self._torn = bool(faults) and self._tablet.torn and self._repetitions < MOST_REPETITIONS
        if self._torn:
            self._repetitions += 1
            stage.say(f"    this machine held up the pen for {self._tablet.lateness_s:.1f} s: it is written again")
            if attempt.pulled_s is not None:
                self._plug_in_again()
            return decision
        if (decision.transaction, decision.attempt) != (transaction, number):
            faults.append(f"it is about {decision.transaction}, attempt {decision.attempt}")
        self._counts[attempt.kind, decision.verdict] += 1
        self._faults += [f"decision {decision.seq} ({attempt.kind}): {fault}" for fault in faults]
        stage.written(attempt.trace, until_s=attempt.pulled_s, beside=stage.judged(decision, faults))
        if attempt.pulled_s is not None:
            self._plug_in_again()
        if decision.done != (attempt.verdict is not Verdict.RETRY):
            raise RuntimeError("the terminal and the demo no longer talk of the same attempt")
        return decision

    def _plug_in_again(self) -> None:
        missed = "it does not miss its tablet"
        self._witness.health(lambda health: not health.pen.ok, limit_s=_PEN_LIMIT_S, otherwise=missed)
        self._tablet.plug_in()
        missed = "it does not find its tablet again"
        self._witness.health(lambda health: health.pen.ok, limit_s=_PEN_LIMIT_S, otherwise=missed)
        self._stage.say("    the tablet is plugged in again, and the daemon has found it")

    def _sign(self, trace: Trace, *, until_s: float | None = None) -> None:
        playing = self._hands.submit(self._tablet.play, trace, until_s=until_s)
        self._stage.writing(trace, playing)
        if not playing.result():
            raise RuntimeError("the tablet went away while somebody wrote")

    # -- the end -------------------------------------------------------------------------------------------------

    def _check_the_end(self) -> None:
        numbers = [decision.seq for decision in self._witness.decisions]
        if numbers != list(range(1, len(numbers) + 1)):
            self._fault(f"decisions were lost, doubled or out of order: {numbers}")
        if self._witness.retained_decisions:
            self._fault("the broker kept a decision: nothing may open on an old one")
        if self._terminal.exit_status:
            self._fault(f"the daemon ended with exit status {self._terminal.exit_status}")

    def _fault(self, text: str) -> None:
        self._faults.append(text)

    def _show_journal(self) -> None:
        stage = self._stage
        stage.title("Not as it should be")
        for fault in self._faults:
            stage.say(f"    {fault}")
        stage.say("  The daemon's last words:")
        for line in self._terminal.last_words():
            stage.say(f"    {line}")

    def _summary(self) -> dict[str, Any]:
        def tally(kind: Kind, verdict: Verdict) -> dict[str, int]:
            n = sum(number for (k, _), number in self._counts.items() if k is kind)
            return {"n": n, verdict.value: self._counts[kind, verdict]}

        return {
            "ok": not self._faults,
            "seed": self._seed,
            "enrolled": {"references": self._references, "refused": self._refused},
            "genuine": tally(Kind.GENUINE, Verdict.MATCH),
            "skilled": tally(Kind.SKILLED, Verdict.MATCH),
            "random": tally(Kind.RANDOM, Verdict.MATCH),
            "retry": tally(Kind.RETRY, Verdict.RETRY),
            "seconds": round(time.monotonic() - self._started, 1),
        }


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--seed", type=click.IntRange(min=0), default=6, show_default=True, help="Who the synthetic people are.")
@click.option("--watch", is_flag=True, help="Go on signing until Ctrl-C.")
def main(seed: int, *, watch: bool) -> None:
    """Show penlatch at work, without a tablet, a broker or a signature of anybody.

    Starts the real daemon (`penlatch run`) with a temporary configuration, an MQTT broker inside this process, and an
    ISDV4 pen tablet emulated on a pty. A synthetic person is enrolled with five signatures through `penlatch enroll`,
    then asked for over MQTT: she signs, others forge her signature, others sign with their own, she brushes the
    tablet, and the tablet's plug is pulled while she signs. Every decision is shown as an MQTT client received it.

    No verifier is without error: among the people of many seeds, a forger succeeds now and then, and the demo says so.

    The last line is a JSON object that counts what came of it. Nothing is left behind.

    Exit status: 0 if all of it happened as it should, 1 if not, 130 Ctrl-C (with --watch: as above).
    """
    interrupts = Interrupts()
    interrupts.listen()
    try:
        with tempfile.TemporaryDirectory(prefix="penlatch-demo-") as folder:
            tempfile.tempdir = folder  # the tablet makes a folder, too: it goes with this one, whatever fails
            ok = Demo(seed, Path(folder), interrupts).run(watch=watch)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        interrupts.deafen()
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
