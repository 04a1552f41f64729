"""How `up` speaks to whoever started it: plain lines here, a live view on a terminal."""

from collections.abc import Callable
from typing import Final, Protocol

import click

from components.xtrader.explain.story import Story
from components.xtrader.explain.words import in_short
from components.xtrader.watch import Seen

STATUS_EVERY_NS: Final = 5_000_000_000
NameModel = Callable[[Story], str | None]


class Show(Protocol):
    """What a run says."""

    def say(self, line: str) -> None:
        """Tell one thing that happened."""
        ...

    def tell(self, seen: Seen, now_ns: int) -> None:
        """Show how things are; called several times a second."""
        ...

    def close(self) -> None:
        """End, and leave behind what is worth keeping."""
        ...


class Explanation:
    """The first fill in plain words, told once."""

    def __init__(self, name_model: NameModel) -> None:
        self._name_model = name_model
        self.headline = ""
        self.sentences: tuple[str, ...] = ()

    def is_new(self, seen: Seen) -> bool:
        """Look for the first fill; true the one time that it is found."""
        fill = seen.tally.first_fill
        if fill is None or self.sentences:
            return False
        story = seen.stories.of(fill)
        after_s = (fill.at_ns - seen.begun_ns) / 1e9
        self.headline = f"first fill after {after_s:.1f} s ({fill.client_order_id}):"
        self.sentences = tuple(in_short(story, self._name_model(story)))
        return True


class PlainLines:
    """One line for each thing that happens, and one every few seconds for how things are."""

    def __init__(self, name_model: NameModel, *, to_errors: bool) -> None:
        """Leave standard output to the answer where a machine reads it."""
        self._to_errors = to_errors
        self._first = Explanation(name_model)
        self._status_due_ns = 0

    def say(self, line: str) -> None:
        """Print it."""
        click.echo(line, err=self._to_errors)

    def tell(self, seen: Seen, now_ns: int) -> None:
        """Explain the first fill, and give a status line when it is due."""
        if self._first.is_new(seen):
            self.say(self._first.headline)
            for sentence in self._first.sentences:
                self.say(f"  {sentence}")
        if seen.ready_ns is not None and now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + STATUS_EVERY_NS
            self.say(status_line(seen))

    def close(self) -> None:
        """Nothing is held."""


def status_line(seen: Seen) -> str:
    """Say in one line how a run goes."""
    tally = seen.tally
    orders = ", ".join(f"{count} {name}" for name, count in tally.orders().items())
    refused = ", ".join(f"{code} {count}" for code, count in tally.refused.most_common(3))
    verdicts = f"{tally.allowed} approved" + (f", refused: {refused}" if refused else "")
    return f"orders: {orders}; fills: {tally.fills}; {verdicts}; gaps: {seen.meters.gaps}"
