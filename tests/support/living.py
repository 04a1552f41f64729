"""A tiny executable that lives a process's life in the way its first argument says; run as a module."""

import sys
from collections.abc import Callable
from threading import Event, Thread

import click
from typing_extensions import override

from components.contracts.topics import Stream
from components.runtime.process import Loop, Process, run_command, running
from components.runtime.service import Effects, Halt, Inbound, Note

NAME = "risk"


class QuietService:
    """Does nothing until it is asked to stop, and then needs this many ticks to drain."""

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
        return (Note("intake_stopped", {}),)

    def is_drained(self) -> bool:
        return self._left <= 0

    def snapshot(self, stream: Stream) -> tuple[object, ...]:
        return ()

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        return ()


class StuckService(QuietService):
    """Turns a few times and then never again."""

    @override
    def on_tick(self, now_ns: int) -> Effects:
        self._left -= 1
        while self._left < 0:
            continue
        return ()


class FailingService(QuietService):
    """Finds itself broken."""

    @override
    def on_tick(self, now_ns: int) -> Effects:
        return (Halt(KeyError("a bug in the service")),)


def serving(process: Process) -> None:
    process.serve(QuietService())


def serving_on_uvloop(process: Process) -> None:
    process.serve(QuietService(), loop=Loop.ASYNC)


def with_a_journal(process: Process) -> None:
    journal = process.journal()
    journal.write([(process.clock.now_ns(), b"started")])
    process.serve(QuietService(), journal=journal)


def never_drained(process: Process) -> None:
    process.serve(QuietService(drain_ticks=1_000_000))


def stuck(process: Process) -> None:
    process.serve(StuckService())


def broken(process: Process) -> None:
    process.serve(FailingService())


def starting_for_ever(process: Process) -> None:
    process.log.info("reading_a_long_journal")
    Event().wait()


def losing_a_thread(process: Process) -> None:
    Thread(target=lambda: 1 // 0, name="side").start()
    process.serve(QuietService())


def telling_a_secret(process: Process) -> None:
    process.log.info("fetched", key=process.secret("env:APCA_API_KEY_ID").decode())


LIVES: dict[str, Callable[[Process], None]] = {
    life.__name__: life
    for life in (
        serving, serving_on_uvloop, with_a_journal, never_drained, stuck, broken, starting_for_ever, losing_a_thread,
        telling_a_secret,
    )
}  # fmt: skip


@click.group()
def cli() -> None:
    """Stand in for a component's command."""


@cli.command()
@click.argument("life", type=click.Choice(sorted(LIVES)))
def live(life: str) -> None:
    with running(NAME) as process:
        LIVES[life](process)


@cli.command()
def talk() -> None:
    """Say more than anybody reads."""
    for number in range(1_000_000):
        click.echo(number)


if __name__ == "__main__":
    sys.exit(run_command(cli))
