"""The sync thread of a simulated process: entries that come while one sync runs share the next."""

from collections.abc import Callable
from typing import Final

from components.contracts.errors import IoFailed
from components.runtime.journal import Journal
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.schedule import Happening, Schedule

NOBODY: Final = -1


class SimulatedCommitter:
    """Makes entries durable a little later; `within` runs something as the process it belongs to."""

    def __init__(
        self,
        journal: Journal,
        schedule: Schedule,
        chance: Chance,
        within: Callable[[Happening], None],
        on_durable: Callable[[int, bytes], None],
        touch: Callable[[str], None],
    ) -> None:
        self._journal, self._schedule, self._chance = journal, schedule, chance
        self._within, self._on_durable, self._touch = within, on_durable, touch
        self._queue: list[tuple[int, bytes]] = []
        self._submitted = journal.last_sequence
        self.on_told: Happening | None = None
        """What the loop does when the descriptor becomes readable."""
        self.failure: IoFailed | None = None

    @property
    def synced(self) -> int:
        """Give the last durable sequence."""
        return self._journal.last_sequence

    def submit(self, at_ns: int, payload: bytes) -> int:
        """Queue an entry and give the sequence it will have."""
        if self.failure is not None:
            raise IoFailed(str(self.failure))
        if not self._queue:
            self._schedule.after(self._chance.sync_ns(), lambda: self._within(self._write))
        self._touch("append")
        self._queue.append((at_ns, payload))
        self._submitted += 1
        return self._submitted

    def flush_inline(self) -> bool:
        """Say no: this is a disk, and it takes its time."""
        return False

    def fileno(self) -> int:
        """Give what nobody watches: the process is told directly."""
        return NOBODY

    def acknowledge(self) -> None:
        """Nothing is to be read."""

    def flush(self) -> None:
        """Write what waits, as a process does at its end."""
        if self._queue and self.failure is None:
            self._write()

    def _write(self) -> None:
        entries, self._queue = self._queue, []
        first = self._journal.last_sequence + 1
        try:
            self._journal.write(entries)
        except IoFailed as failed:
            self.failure = failed
        else:
            for sequence, (_, payload) in enumerate(entries, first):
                self._on_durable(sequence, payload)
        if self.on_told is not None:
            self.on_told()
