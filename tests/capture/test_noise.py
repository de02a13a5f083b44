"""Noise on a serial line: ten million random bytes make no signature, leave no tablet and fill no memory."""

from __future__ import annotations

import dataclasses
import tracemalloc
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from penlatch.capture import isdv4, protocol4
from penlatch.capture.line import READ_SIZE
from penlatch.capture.packet_clock import PacketClock
from penlatch.capture.plausible import Reach
from penlatch.capture.segmenter import Segmenter, Signature
from penlatch.capture.serial_frames import BITS_PER_BYTE
from penlatch.config import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penlatch.capture.framing import Decoder

NOISE_BYTES: Final = 10_000_000
MEMORY_BYTES: Final = 4_000_000
"""What all parts between line and signature may take at once [bytes]: a fraction of the noise."""
LIMITS: Final = isdv4.QueryReply(x=26_312, y=16_520, pressure=1023)
DIGITIZER: Final = protocol4.Model(name="Digitizer II")
# A tablet that says everything is possible leaves the least to be refused.
BOUNDLESS: Final = isdv4.QueryReply(x=0xFFFF, y=0xFFFF, pressure=1023, tilt_x=127, tilt_y=127)


def digitizer() -> Decoder:
    return protocol4.Decoder(DIGITIZER, protocol4.Resolution(1270, 1270), protocol4.Maxima(15_240, 15_240))


def reads(rng: np.random.Generator, *, total: int) -> Iterator[bytes]:
    """Yield noise as a line brings it: in pieces of a packet's size up to all that a read takes."""
    left = total
    while left > 0:
        size = min(int(np.exp(rng.uniform(np.log(8), np.log(READ_SIZE)))), left)
        yield rng.bytes(size)
        left -= size


@pytest.mark.parametrize(
    ("make", "baud", "width_mm", "height_mm"),
    [
        pytest.param(lambda: isdv4.Decoder(LIMITS), 38_400, 263.12, 165.2, id="isdv4"),
        pytest.param(lambda: isdv4.Decoder(BOUNDLESS), 38_400, 655.35, 655.35, id="isdv4 without bounds"),
        pytest.param(digitizer, 9600, 304.8, 304.8, id="protocol4"),
    ],
)
def test_ten_million_random_bytes_make_no_signature(
    make: Callable[[], Decoder], baud: int, width_mm: float, height_mm: float
) -> None:
    decoder = make()
    clock = PacketClock(wire_time=decoder.packet_size * BITS_PER_BYTE / baud)
    reach = Reach()
    # The most lenient limits there are: what is refused here is refused for its damage alone.
    anything = Segment(idle_s=0.05, min_duration_s=0, min_points=1, min_ink_mm=0, min_size_mm=0, max_size_mm=1e6)
    segmenter = Segmenter(anything, decoder.info)
    rng = np.random.default_rng(0)
    now, believed, captures = 0.0, 0, 0
    tracemalloc.start()
    for data in reads(rng, total=NOISE_BYTES):
        now += len(data) * BITS_PER_BYTE / baud
        readings = decoder.feed(data)
        frames = readings.at(clock.stamp(now, len(readings)))
        frames = dataclasses.replace(frames, gap=frames.gap or reach.exceeded(frames))
        believed += len(frames)
        assert (frames.x <= width_mm).all()
        assert (frames.y <= height_mm).all()
        assert ((frames.p >= 0) & (frames.p <= 1)).all()
        for capture in segmenter.feed(frames):
            captures += 1
            assert not isinstance(capture, Signature)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert believed > 100, "noise looks like packets now and then, or this test shows nothing"
    assert captures > 0
    assert peak < MEMORY_BYTES
