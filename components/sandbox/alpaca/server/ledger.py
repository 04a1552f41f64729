"""The thread that owns the venue's database.

It commits changes in groups with one sync each, and answers queries from durable data only.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from components.contracts.errors import StorageError
from components.runtime.filesystem import REAL_DISK, OpenFile
from components.sandbox.alpaca.server.storage import StateChange, StoredState, load_state, open_database, write_change

FILE_NAME = "venue.sqlite"
LOCK_NAME = "lock"
T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    writes: bool
    result: "asyncio.Future[Any]"


class Ledger:
    """Applies changes in the order in which they were appended.

    A query sees every change appended before it, and only durable ones.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = None if folder is None else _lock_folder(folder)
        self._connection = open_database(None if folder is None else folder / FILE_NAME)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run_thread, name="ledger", daemon=True)

    def load(self) -> StoredState:
        """Read the stored state; call it before `start`."""
        return load_state(self._connection)

    def start(self) -> None:
        """Start the thread; call it inside the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()

    def append(self, change: StateChange) -> "asyncio.Future[None]":
        """Append a change; the returned future is done when it is durable."""
        return self._submit(lambda connection: write_change(connection, change), writes=True)

    async def commit(self, change: StateChange) -> None:
        """Append a change and wait until it is durable; raise if the ledger fails."""
        written = self.append(change)
        await asyncio.wait({written, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            self.failed.result()

    async def query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query after everything that was appended before it."""
        result: T = await self._submit(query, writes=False)
        return result

    def close(self) -> None:
        """Finish what was appended, stop the thread, and release the lock on the folder."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()
        if self._lock is not None:
            REAL_DISK.close(self._lock)

    def _submit(self, work: Callable[[sqlite3.Connection], Any], *, writes: bool) -> "asyncio.Future[Any]":
        result: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put(_Job(work, writes, result))
        return result

    def _run_thread(self) -> None:
        ended = False
        while not ended:
            jobs, ended = self._next_jobs()
            try:
                self._execute(jobs)
            except sqlite3.Error as error:
                self._loop.call_soon_threadsafe(self._fail, StorageError(f"the venue's ledger: {error}"))
                return

    def _next_jobs(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _execute(self, jobs: list[_Job]) -> None:
        done: list[tuple[asyncio.Future[Any], Any]] = []
        for job in jobs:
            if job.writes and not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            elif not job.writes and self._connection.in_transaction:
                # A query must not return what a crash could still roll back.
                self._connection.execute("COMMIT")
            done.append((job.result, job.work(self._connection)))
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        self._loop.call_soon_threadsafe(_settle, done)

    def _fail(self, error: StorageError) -> None:
        # Waiting callers get no answer: the process ends before anything that is not durable is sent.
        if not self.failed.done():
            self.failed.set_exception(error)


def _settle(done: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for result, value in done:
        if not result.done():
            result.set_result(value)


def _lock_folder(folder: Path) -> OpenFile:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create the state folder {folder}: {error.strerror}") from error
    return REAL_DISK.lock(folder / LOCK_NAME)
