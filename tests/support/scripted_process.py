"""A small executable that behaves as its first argument says, from start to exit; run as a module."""

import sys
from collections.abc import Callable
from threading import Event, Thread

import click
from typing_extensions import override

from components.contracts.streams import Stream
from components.runtime.cli import run_command
from components.runtime.process.process import Process, run_process
from components.runtime.service import Effects, Inbound, LogEvent, Terminate

NAME = "risk"


class QuietService:
    """Does nothing until it is stopped, and then needs this many ticks to drain."""

    def __init__(self, drain_ticks: int = 2) -> None:
        self._left = drain_ticks
        self._is_stopping = False

    def on_start(self, now_ns: int) -> Effects:
        return ()

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        return ()

    def on_tick(self, now_ns: int) -> Effects:
        self._left -= self._is_stopping
        return ()

    def on_stop(self, now_ns: int) -> Effects:
        self._is_stopping = True
        return (LogEvent("intake_stopped", {}),)

    def is_drained(self) -> bool:
        return self._left <= 0

    def snapshot(self, stream: Stream) -> tuple[object, ...]:
        return ()

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        return ()


class StuckService(QuietService):
    """Handles a few ticks and then blocks the loop."""

    @override
    def on_tick(self, now_ns: int) -> Effects:
        self._left -= 1
        while self._left < 0:
            continue
        return ()


class FailingService(QuietService):
    """Terminates with an error."""

    @override
    def on_tick(self, now_ns: int) -> Effects:
        return (Terminate(KeyError("a bug in the service")),)


def run_quietly(process: Process) -> None:
    process.run(QuietService())


class IdleVenueClient:
    """A venue client that is never called; with it the process runs on the asyncio driver."""

    async def open(self) -> None:
        """Connect to nothing."""

    async def call(self, request: object) -> object:
        raise AssertionError(request)

    async def close(self) -> None:
        """Close nothing."""


def run_on_uvloop(process: Process) -> None:
    process.run(QuietService(), venue=IdleVenueClient())


def run_with_journal(process: Process) -> None:
    journal = process.open_journal()
    journal.write([(process.clock.now_ns(), b"started")])
    process.run(QuietService(), journal=journal)


def never_drain(process: Process) -> None:
    process.run(QuietService(drain_ticks=1_000_000))


def block_in_tick(process: Process) -> None:
    process.run(StuckService())


def terminate_with_error(process: Process) -> None:
    process.run(FailingService())


def never_finish_start(process: Process) -> None:
    process.log.info("reading_a_long_journal")
    Event().wait()


def fail_in_thread(process: Process) -> None:
    Thread(target=lambda: 1 // 0, name="side").start()
    process.run(QuietService())


def log_a_secret(process: Process) -> None:
    process.log.info("fetched", key=process.secret("env:APCA_API_KEY_ID").decode())


SCENARIOS: dict[str, Callable[[Process], None]] = {
    scenario.__name__: scenario
    for scenario in (
        run_quietly,
        run_on_uvloop,
        run_with_journal,
        never_drain,
        block_in_tick,
        terminate_with_error,
        never_finish_start,
        fail_in_thread,
        log_a_secret,
    )
}


@click.group()
def cli() -> None:
    """Stand in for a component's command."""


@cli.command()
@click.argument("scenario", type=click.Choice(sorted(SCENARIOS)))
def live(scenario: str) -> None:
    with run_process(NAME) as process:
        SCENARIOS[scenario](process)


@cli.command()
def print_endlessly() -> None:
    """Print more than any reader reads."""
    for number in range(1_000_000):
        click.echo(number)


if __name__ == "__main__":
    sys.exit(run_command(cli))
