"""Group commit: a background thread syncs entries; those that arrive during a sync share the next one."""

import os
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final

from components.contracts.errors import InvariantError, StorageError
from components.runtime.journal.format import PAYLOAD_BYTES_MAX, Entry
from components.runtime.journal.journal import Journal

FRAME_BYTES_TARGET: Final = 1 << 20
"""A backlog is written in several frames, so that its first entries become durable early."""


class GroupCommitter:
    """Group-commits journal entries on a background thread.

    `submit` is called by one thread only; an eventfd signals that `durable_sequence` advanced or `failure` was set. A
    journal on an in-memory file system has no thread, because its sync costs less than waking one: the caller runs
    `flush_inline`.
    """

    def __init__(self, journal: Journal, *, queue_max: int = 65_536) -> None:
        self._journal, self._queue_max = journal, queue_max
        self._submitted = journal.last_sequence
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._is_closing = self._closed = False
        self._notification_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.failure: StorageError | None = None
        self._thread = Thread(target=self._run, name="journal-sync", daemon=True)
        if not journal.in_memory:
            self._thread.start()

    def submit(self, at_ns: int, payload: bytes) -> int:
        """Queue an entry and return the sequence it will have.

        A full queue means that the disk is too slow and raises StorageError.
        """
        if self.failure is not None:
            raise StorageError(str(self.failure))
        if self._is_closing or len(payload) > PAYLOAD_BYTES_MAX:
            problem = "the journal is closed" if self._is_closing else f"at most {PAYLOAD_BYTES_MAX} bytes are allowed"
            raise InvariantError(f"an entry of {len(payload)} bytes was not appended: {problem}")
        if self._submitted - self._journal.last_sequence >= self._queue_max:
            raise StorageError(f"the disk is too slow: {self._queue_max} entries wait for the disk")
        self._submitted += 1
        self._queue.put((at_ns, payload))
        return self._submitted

    @property
    def durable_sequence(self) -> int:
        """The last durable sequence."""
        return self._journal.last_sequence

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `durable_sequence` advanced or `failure` was set."""
        return self._notification_fd

    def clear_notification(self) -> None:
        """Reset the descriptor. Read `durable_sequence` and `failure` after this call, not before."""
        try:
            os.eventfd_read(self._notification_fd)
        except BlockingIOError:
            return

    def flush_inline(self) -> bool:
        """Write the queued entries in the calling thread if the journal is in memory.

        Return False if the thread does it.
        """
        if not self._journal.in_memory:
            return False
        while self._queue.qsize():
            self._write(self._take_batch(self._queue.get()))
        return True

    def close(self, within_s: float) -> None:
        """Make every submitted entry durable and end the thread.

        Raises StorageError if that did not succeed in time.
        """
        self._is_closing = True
        with suppress(StorageError):  # `failure` holds it; the unsynced entries are reported below
            if not self.flush_inline():
                self._queue.put(None)
                self._thread.join(within_s)
        if self._thread.is_alive():
            # The descriptor stays open: the thread may still write to it.
            raise StorageError(
                f"{self._submitted - self.durable_sequence} entries were not synced within {within_s:g} s"
            )
        if not self._closed:
            os.close(self._notification_fd)
        self._closed = True
        if self.durable_sequence < self._submitted:
            raise StorageError(str(self.failure))

    def _run(self) -> None:
        try:
            while entries := self._take_batch(self._queue.get()):
                self._write(entries)
                os.eventfd_write(self._notification_fd, 1)
        except StorageError:
            return  # the loop reads it from `failure`
        finally:
            # The loop must be notified whatever ended this thread.
            if self.failure is None and self.durable_sequence < self._submitted:
                self.failure = StorageError("the sync thread died")
            os.eventfd_write(self._notification_fd, 1)

    def _write(self, entries: list[Entry]) -> None:
        try:
            self._journal.write(entries)
        except StorageError as failed:
            self.failure = failed
            raise

    def _take_batch(self, entry: Entry | None) -> list[Entry]:
        """Return this entry and all that are queued behind it, up to the end mark, which stays for the next call."""
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
