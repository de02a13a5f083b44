"""Decoding of evdev events: our bulk decoder beside python-evdev's `InputDevice.read()`, on the same bytes.

Both read from a pipe, through the same system call that a device answers. `read()` yields objects and leaves it to its
caller to carry the state from frame to frame; our decoder's time includes that. Each amount of events is a figure of
its own: bulk decoding costs as much for one frame as for dozens, so it gains with backlogs and recordings, and loses
where little is decoded at once.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import evdev
import numpy as np

from benchlib.figures import Figure
from benchlib.processes import ROOT
from penlatch.capture.evdev_events import EV_ABS, EV_KEY, EV_SYN, INPUT_EVENT, SYN_REPORT, Axis, EventDecoder, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from benchlib.terminal import Bench

TARGET_TIMES = 10.0
PIPE_BYTES = 1 << 20
KERNEL_QUEUE = 64
"""Events that the kernel keeps for a reader at least (EVDEV_MIN_BUFFER_SIZE), and that `read()` takes at most."""
WRITING_FRAMES = 12
"""Frames that `EvdevPen` decodes together while a pen writes at 200 Hz (its MOTION_DELAY_S)."""
TURNS = 4
"""How often each side decodes everything before the other does. The caches hold what the other needed then, and that
weighs the more, the sooner a side is done: the first time, bulk decoding takes nearly twice as long."""
FRAMES = 6_000
"""Half a minute of writing at 200 Hz."""


def synthetic() -> NDArray[np.void]:
    """Make the events of a pen that writes: position in every frame, pressure in most, tilt in some."""
    rng = np.random.default_rng(1)
    rows: list[tuple[int, int, int]] = [(EV_KEY, Key.TOOL_PEN, 1), (EV_KEY, Key.TOUCH, 1), (EV_SYN, SYN_REPORT, 0)]
    for x, y, p, tilted in zip(
        np.cumsum(rng.integers(-40, 60, FRAMES)).tolist(),
        np.cumsum(rng.integers(-40, 60, FRAMES)).tolist(),
        rng.integers(200, 1800, FRAMES).tolist(),
        (rng.random(FRAMES) < 0.3).tolist(),
        strict=True,
    ):
        rows += [(EV_ABS, Axis.X, x), (EV_ABS, Axis.Y, y), (EV_ABS, Axis.PRESSURE, p)]
        if tilted:
            rows += [(EV_ABS, Axis.TILT_X, x % 60), (EV_ABS, Axis.TILT_Y, y % 60)]
        rows.append((EV_SYN, SYN_REPORT, 0))
    events = np.zeros(len(rows), dtype=INPUT_EVENT)
    for index, name in enumerate(("type", "code", "value")):
        events[name] = [row[index] for row in rows]
    return events


def recorded(folder: Path) -> NDArray[np.void] | None:
    """Read the evemu recordings in `folder`, one after another; None where there are none."""
    rows: list[tuple[int, int, int, int, int]] = []
    for path in sorted(folder.glob("*.events")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("E: "):
                when, kind, code, value = line[3:].split()[:4]
                sec, _, usec = when.partition(".")
                rows.append((int(sec), int(usec), int(kind, 16), int(code, 16), int(value)))
    return np.array(rows, dtype=INPUT_EVENT) if rows else None


def _reads(events: NDArray[np.void], size: int) -> list[bytes]:
    """Cut the stream into reads of `size` events."""
    return [events[start : start + size].tobytes() for start in range(0, len(events), size)]


def _batches(events: NDArray[np.void], frames: int) -> list[bytes]:
    """Cut the stream into batches of `frames` whole frames."""
    ends = np.flatnonzero((events["type"] == EV_SYN) & (events["code"] == SYN_REPORT)) + 1
    return [part.tobytes() for part in np.split(events, ends[frames - 1 :: frames]) if len(part)]


class _Pipe:
    """A pipe that answers reads as a device node does."""

    def __init__(self) -> None:
        self.end, self._far = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._far, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def seconds(self, parts: list[bytes], decode: Callable[[], int]) -> NDArray[np.float64]:
        """Write each part and take the CPU time of decoding it [s].

        Args:
            parts: what is found in the pipe each time.
            decode: reads once and returns how many events it saw.
        """
        spent = np.empty(len(parts))
        for index, part in enumerate(parts):
            os.write(self._far, part)
            wanted = len(part) // INPUT_EVENT.itemsize
            started = time.thread_time()
            while wanted > 0:
                wanted -= decode()
            spent[index] = time.thread_time() - started
        return spent

    def close(self) -> None:
        os.close(self.end)
        os.close(self._far)


def _ours(pipe: _Pipe) -> Callable[[], int]:
    decoder = EventDecoder()

    def decode() -> int:
        data = os.read(pipe.end, PIPE_BYTES)
        decoder.feed(data)
        return len(data) // INPUT_EVENT.itemsize

    return decode


def _plain(pipe: _Pipe) -> Callable[[], int]:
    # The class as it is, without the device that its __init__ asks for its name.
    device = object.__new__(evdev.InputDevice)
    device.fd = os.dup(pipe.end)  # it closes what it holds when it goes

    def decode() -> int:
        return sum(1 for _ in device.read())

    return decode


def _framing(pipe: _Pipe) -> Callable[[], int]:
    device = object.__new__(evdev.InputDevice)
    device.fd = os.dup(pipe.end)
    state: dict[tuple[int, int], int] = {}
    wanted = {(EV_ABS, axis.value) for axis in Axis} | {(EV_KEY, key.value) for key in Key}

    def decode() -> int:
        count, frames = 0, []
        for event in device.read():
            count += 1
            if event.type == EV_SYN and event.code == SYN_REPORT:
                frames.append((event.timestamp(), dict(state)))
            elif (event.type, event.code) in wanted:
                state[event.type, event.code] = event.value
        return count

    return decode


PLAIN: Mapping[str, tuple[Callable[[_Pipe], Callable[[], int]], str]] = {
    "read()": (_plain, "evdev.InputDevice.read() on the same pipe: an object per event, no frames, no state"),
    "frames": (_framing, "a loop over evdev.InputDevice.read() that carries the state and makes frames, too"),
}
"""The plain alternatives."""


def _compare(name: str, parts: list[bytes], *, rounds: int, target: float | None = None, plain: str) -> Figure:
    make_plain, plain_how = PLAIN[plain]
    total = sum(map(len, parts)) // INPUT_EVENT.itemsize
    # What else the machine does comes on top of some reads in some rounds: the least time of each read is its own.
    best = {which: np.full(len(parts), np.inf) for which in ("ours", "plain")}
    pipe = _Pipe()
    for _ in range(rounds):
        for which, make in (("ours", _ours), ("plain", make_plain)):
            decode = make(pipe)
            for _ in range(TURNS):
                np.minimum(best[which], pipe.seconds(parts, decode), out=best[which])
    rates = {which: total / float(times.sum()) for which, times in best.items()}
    pipe.close()
    return Figure(
        name=name,
        value=rates["ours"],
        unit="events/s",
        n=total * rounds * TURNS,
        how="read and decoded to frames with their state carried, least CPU time of each read "
        f"in {rounds} rounds of {TURNS} turns",
        plain=rates["plain"],
        plain_how=plain_how,
        target_ratio=target,
        better="higher",
    )


def measure(bench: Bench) -> list[Figure]:
    """Compare on a synthetic stream in reads of three sizes, and on recordings where there are any."""
    rounds = 3 if bench.quick else 10
    events = synthetic()
    whole = PIPE_BYTES // INPUT_EVENT.itemsize
    every = {
        "bulk": _reads(events, whole),
        f"{KERNEL_QUEUE} events at once": _reads(events, KERNEL_QUEUE),
        f"{WRITING_FRAMES} frames at once": _batches(events, WRITING_FRAMES),
    }
    recordings = recorded(Path(os.environ.get("PENLATCH_RECORDINGS", ROOT.parent / "shared" / "recordings")) / "evemu")
    if recordings is not None:
        every["recordings in bulk"] = _reads(recordings, whole)
    return [
        _compare(
            f"evdev decoding, {amount}, beside {plain}",
            parts,
            rounds=rounds,
            target=TARGET_TIMES if plain == "read()" and amount.endswith("bulk") else None,
            plain=plain,
        )
        for amount, parts in every.items()
        for plain in PLAIN
    ]
