"""The sync thread: entries that arrive while one sync runs share the next."""

import os
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final

from components.contracts.errors import InvariantError, StorageError
from components.runtime.journal.format import PAYLOAD_BYTES_MAX, Entry
from components.runtime.journal.journal import Journal

FRAME_BYTES_TARGET: Final = 1 << 20  # a backlog is written in pieces, so that the first of it is answered early


class GroupCommitter:
    """Makes entries durable behind the loop's back; one thread submits, and hears of it by a descriptor.

    A journal in memory has no thread: its sync costs less than waking one, so the submitter calls flush_inline.
    """

    def __init__(self, journal: Journal, *, queue_max: int = 65_536) -> None:
        self._journal, self._queue_max = journal, queue_max
        self._submitted = journal.last_sequence
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._ends = self._closed = False
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.failure: StorageError | None = None
        self._thread = Thread(target=self._run, name="journal-sync", daemon=True)
        if not journal.in_memory:
            self._thread.start()

    def submit(self, at_ns: int, payload: bytes) -> int:
        """Queue an entry and give the sequence it will have; a disk too slow for the queue's bound has failed."""
        if self.failure is not None:
            raise StorageError(str(self.failure))
        if self._ends or len(payload) > PAYLOAD_BYTES_MAX:
            raise InvariantError(
                f"an entry of {len(payload)} bytes (at most {PAYLOAD_BYTES_MAX}), closed: {self._ends}"
            )
        if self._submitted - self._journal.last_sequence >= self._queue_max:
            raise StorageError(f"{self._queue_max} entries wait for the disk")
        self._submitted += 1
        self._queue.put((at_ns, payload))
        return self._submitted

    @property
    def durable_sequence(self) -> int:
        """Give the last durable sequence."""
        return self._journal.last_sequence

    def fileno(self) -> int:
        """Give the descriptor that is readable when `synced` went on or `failure` was set."""
        return self._told

    def clear_notification(self) -> None:
        """Make the descriptor quiet again; read `synced` and `failure` after this, not before."""
        try:
            os.eventfd_read(self._told)
        except BlockingIOError:
            return

    def flush_inline(self) -> bool:
        """Write what waits in the calling thread, where the journal is in memory; False where the thread does it."""
        if not self._journal.in_memory:
            return False
        while self._queue.qsize():
            self._write(self._waiting(self._queue.get()))
        return True

    def close(self, within_s: float) -> None:
        """Make everything submitted durable and end the thread; IoFailed where that was not possible in time."""
        self._ends = True
        with suppress(StorageError):  # it is in `failure`, and told below by what it left unsynced
            if not self.flush_inline():
                self._queue.put(None)
                self._thread.join(within_s)
        if self._thread.is_alive():
            # The descriptor stays open: the thread may still write to it.
            raise StorageError(
                f"{self._submitted - self.durable_sequence} entries were not synced within {within_s:g} s"
            )
        if not self._closed:
            os.close(self._told)
        self._closed = True
        if self.durable_sequence < self._submitted:
            raise StorageError(str(self.failure))

    def _run(self) -> None:
        try:
            while entries := self._waiting(self._queue.get()):
                self._write(entries)
                os.eventfd_write(self._told, 1)
        except StorageError:
            return  # the loop reads it in `failure`
        finally:
            # Whatever ended this thread early, the loop must hear of it.
            if self.failure is None and self.durable_sequence < self._submitted:
                self.failure = StorageError("the sync thread died")
            os.eventfd_write(self._told, 1)

    def _write(self, entries: list[Entry]) -> None:
        try:
            self._journal.write(entries)
        except StorageError as failed:
            self.failure = failed
            raise

    def _waiting(self, entry: Entry | None) -> list[Entry]:
        """Take this entry and all that wait behind it, up to the end mark, which stays for the next call."""
        entries: list[Entry] = []
        bytes_count = 0
        while entry is not None:
            entries.append(entry)
            bytes_count += len(entry[1])
            if bytes_count >= FRAME_BYTES_TARGET or not self._queue.qsize():
                return entries
            entry = self._queue.get()
        if entries:
            self._queue.put(None)
        return entries
