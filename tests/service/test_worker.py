"""The worker: one thread, calls in order, and what was begun is finished whoever stops waiting for it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import StoreError
from penlatch.service.worker import Worker
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


class Task:
    """Work that begins, and goes on until the test lets it end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.finished = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        self.finished.set()
        return "done"


@pytest.fixture
def task() -> Iterator[Task]:
    task = Task()
    yield task
    task.may_end.set()


async def test_a_call_returns_what_the_function_returns(worker: Worker) -> None:
    assert await worker.call(divmod, 17, 5) == (3, 2)
    assert await worker.call(int, "11", base=2) == 3


async def test_what_the_function_raises_comes_through_with_its_fields(worker: Worker) -> None:
    fault = StoreError(path="penlatch.db", problem="the disk is full")

    def fail() -> None:
        raise fault

    with pytest.raises(StoreError) as caught:
        await worker.call(fail)
    assert caught.value is fault
    assert await worker.call(str, 1) == "1"


async def test_calls_run_one_after_another_in_the_order_in_which_they_were_made(worker: Worker, task: Task) -> None:
    order: list[int] = []
    running = 0

    def work(number: int) -> None:
        nonlocal running
        running += 1
        assert running == 1
        order.append(number)
        running -= 1

    first = asyncio.create_task(worker.call(task))
    calls = [asyncio.create_task(worker.call(work, number)) for number in range(50)]
    await eventually(task.begun.is_set)
    assert order == []
    task.may_end.set()
    await asyncio.gather(first, *calls)
    assert order == list(range(50))


async def test_every_call_runs_in_the_same_thread_and_not_in_the_loops(worker: Worker) -> None:
    threads = {await worker.call(threading.get_ident) for _ in range(5)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_the_loop_goes_on_while_the_worker_works(worker: Worker, task: Task) -> None:
    call = asyncio.create_task(worker.call(task))
    await eventually(task.begun.is_set)
    assert not call.done()
    task.may_end.set()
    assert await asyncio.wait_for(call, PATIENCE_S) == "done"


async def test_work_begun_is_finished_though_its_caller_was_cancelled(worker: Worker, task: Task) -> None:
    call = asyncio.create_task(worker.call(task))
    await eventually(task.begun.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not task.finished.is_set()
    task.may_end.set()
    # The next call waits for it: no two touch the database at a time.
    assert await worker.call(task.finished.is_set)


async def test_work_not_begun_is_dropped_with_its_caller(worker: Worker, task: Task) -> None:
    done: list[str] = []
    first = asyncio.create_task(worker.call(task))
    await eventually(task.begun.is_set)
    waiting = asyncio.create_task(worker.call(done.append, "dropped"))
    last = asyncio.create_task(worker.call(done.append, "kept"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    task.may_end.set()
    await asyncio.gather(first, last)
    assert done == ["kept"]


async def test_stopping_finishes_what_was_begun_and_drops_what_only_waits(task: Task) -> None:
    worker = Worker()
    done: list[str] = []
    begun = asyncio.create_task(worker.call(task))
    await eventually(task.begun.is_set)
    waiting = asyncio.create_task(worker.call(done.append, "dropped"))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, PATIENCE_S)
    assert not stopping.done()
    task.may_end.set()
    await asyncio.wait_for(stopping, PATIENCE_S)
    assert task.finished.is_set()
    assert await begun == "done"
    assert done == []


async def test_nothing_is_taken_on_after_stopping() -> None:
    worker = Worker()
    worker.stop()
    with pytest.raises(RuntimeError):
        await worker.call(int)
