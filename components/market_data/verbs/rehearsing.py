"""Plays a recording through the service for a verb."""

from collections.abc import Iterator

from components.market_data.service.rehearsal import Rehearsal, rehearsed
from components.market_data.venues.playback import Pace, paced, play
from components.market_data.venues.recorded import Recording, read_recording
from components.runtime.clock import SystemClock
from components.runtime.service import Note, Publish


def rehearsal(recording: Recording, speed: float) -> Iterator[Publish | Note]:
    """Give what would be published and noted, in order, as fast as the speed allows."""
    reader, clock = read_recording(recording), SystemClock()
    dialect, symbols = reader.dialect, tuple(reader.registry.by_symbol)
    service = rehearsed(dialect.venue, symbols, dialect.rule, pushes_image=dialect.pushes_image)
    played = paced(play(recording, reader, clock), Pace(speed, clock))
    return Rehearsal(service, clock.monotonic_ns).run(played)
