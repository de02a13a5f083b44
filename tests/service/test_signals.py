"""Signals stop the daemon once, also before its loop runs; and what hangs is ended in time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Final

import pytest

from penlatch.service.signals import FORCED, STOP_LIMIT_S
from support.waiting import PATIENCE_S

BEGIN: Final = """
import asyncio, os, signal, sys, time
from penlatch.service.signals import Signals
signals = Signals()
signals.listen()
async def main():
    stop = asyncio.Event()
    signals.tell(asyncio.get_running_loop(), stop.set)
    await stop.wait()
    print("stopped", flush=True)
"""
SLACK_S: Final = 5.0
"""A machine that does other things is so much later, at most [s]."""


def run(text: str) -> tuple[int, str, float]:
    """Run a program; return its exit status, what it said, and how long it took [s]."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + text], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_that_comes_before_the_loop_is_not_forgotten(number: signal.Signals) -> None:
    status, said, _ = run(f"os.kill(os.getpid(), {number:d}); time.sleep(0.2); asyncio.run(main())")
    assert (status, said) == (0, "stopped\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_more_of_them_change_nothing(number: signal.Signals) -> None:
    text = f"asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), {number:d})"
    status, said, _ = run(
        f"async def more():\n    {text}\n    await main()\n    [os.kill(os.getpid(), {number:d}) for _ in range(9)]\n"
        f"asyncio.run(more()); signals.deafen(); os.kill(os.getpid(), {number:d})"
    )
    assert (status, said) == (0, "stopped\n")


def test_a_hangup_is_no_end() -> None:
    status, said, _ = run(
        "import logging; logging.basicConfig()\nos.kill(os.getpid(), signal.SIGHUP); time.sleep(0.3); print('alive')"
    )
    assert status == 0
    assert "a reload is not supported" in said
    assert "alive" in said


def test_what_the_daemon_starts_ignores_none_of_them() -> None:
    status, said, _ = run(
        "import subprocess\nprint(subprocess.run(['sh', '-c', 'kill -HUP $$; sleep 1'], check=False).returncode)"
    )
    assert (status, said) == (0, "-1\n")


@pytest.mark.parametrize(
    "hang",
    [
        "time.sleep(60)",
        "asyncio.run(main()); time.sleep(60)",
        "import threading; threading.Thread(target=time.sleep, args=(60,)).start(); asyncio.run(main())",
        "asyncio.run(asyncio.sleep(60))",
    ],
    ids=["the main thread", "the end", "a thread that is joined", "a loop that does not listen"],
)
def test_what_hangs_is_ended_in_time(hang: str) -> None:
    status, said, took_s = run(f"os.kill(os.getpid(), signal.SIGTERM)\n{hang}")
    assert status == FORCED, said
    assert took_s < STOP_LIMIT_S + SLACK_S


def test_a_stop_may_have_more_time_where_it_is_known_what_for() -> None:
    status, said, took_s = run("signals.stopping(); signals.extend(1.0); time.sleep(2.9); print('in time')")
    assert (status, said) == (0, "in time\n")
    assert took_s > STOP_LIMIT_S


def test_a_log_that_nobody_reads_does_not_hold_up_the_end() -> None:
    text = """
import logging
read, write = os.pipe()
os.dup2(write, 2)
logging.basicConfig()
os.set_blocking(2, False)
try:
    while os.write(2, b"x" * 4096):
        pass
except BlockingIOError:
    os.set_blocking(2, True)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    status, _, took_s = run(text)
    assert status == FORCED
    assert took_s < STOP_LIMIT_S + SLACK_S
