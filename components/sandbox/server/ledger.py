"""The thread that owns the venue's memory: writes in groups, one sync each, and answers only from what is on disk."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from components.contracts.errors import IoFailed
from components.runtime.disk import REAL_DISK, OpenFile
from components.sandbox.server.store import Change, Memory, load, open_store, write

FILE_NAME = "venue.sqlite"
LOCK_NAME = "lock"
T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    writes: bool
    answer: "asyncio.Future[Any]"


class Ledger:
    """Keeps every change in order; a query sees all changes that were appended before it, and only synced ones."""

    def __init__(self, folder: Path | None) -> None:
        self._lock = None if folder is None else _hold(folder)
        self._connection = open_store(None if folder is None else folder / FILE_NAME)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="ledger", daemon=True)

    def load(self) -> Memory:
        """Read what is remembered, before the thread takes over."""
        return load(self._connection)

    def start(self) -> None:
        """Begin to serve; must be called inside the running loop."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()

    def append(self, change: Change) -> "asyncio.Future[None]":
        """Write a change; the future is done when it is on disk."""
        return self._put(lambda connection: write(connection, change), writes=True)

    async def commit(self, change: Change) -> None:
        """Write a change and wait until it is on disk, or for what keeps it from there."""
        written = self.append(change)
        await asyncio.wait({written, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            self.failed.result()

    async def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query after everything that was appended before it."""
        answer: T = await self._put(query, writes=False)
        return answer

    def close(self) -> None:
        """Finish what was appended and give the folder back."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()
        if self._lock is not None:
            REAL_DISK.close(self._lock)

    def _put(self, work: Callable[[sqlite3.Connection], Any], *, writes: bool) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put(_Job(work, writes, answer))
        return answer

    def _serve(self) -> None:
        ended = False
        while not ended:
            jobs, ended = self._take()
            try:
                self._run(jobs)
            except sqlite3.Error as error:
                self._loop.call_soon_threadsafe(self._fail, IoFailed(f"the venue's ledger: {error}"))
                return

    def _take(self) -> tuple[list[_Job], bool]:
        taken: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            taken.append(job)
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return taken, False
        return taken, True

    def _run(self, jobs: list[_Job]) -> None:
        done: list[tuple[asyncio.Future[Any], Any]] = []
        for job in jobs:
            if job.writes and not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            elif not job.writes and self._connection.in_transaction:
                # A query must not see what a crash could still take back.
                self._connection.execute("COMMIT")
            done.append((job.answer, job.work(self._connection)))
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        self._loop.call_soon_threadsafe(_settle, done)

    def _fail(self, error: IoFailed) -> None:
        # Whoever waits for an answer gets none: the process ends before anything unsynced is told.
        if not self.failed.done():
            self.failed.set_exception(error)


def _settle(done: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for answer, value in done:
        if not answer.done():
            answer.set_result(value)


def _hold(folder: Path) -> OpenFile:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IoFailed(f"the state folder {folder}: {error.strerror}") from error
    return REAL_DISK.lock(folder / LOCK_NAME)
