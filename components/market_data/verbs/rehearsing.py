"""Plays a recording through the service for a verb."""

from collections.abc import Iterator

from components.market_data.service.rehearsal import ReplayDriver, replay_service
from components.market_data.venues.playback import ReplayPacer, replay_events, throttled
from components.market_data.venues.recorded import Recording, open_recording
from components.runtime.clock import SystemClock
from components.runtime.service import LogEvent, Publish


def replay_messages(recording: Recording, speed: float) -> Iterator[Publish | LogEvent]:
    """Give what would be published and noted, in order, as fast as the speed allows."""
    reader, clock = open_recording(recording), SystemClock()
    dialect, symbols = reader.adapter, tuple(reader.registry.by_symbol)
    service = replay_service(dialect.venue, symbols, dialect.sequence_rule, pushes_snapshot=dialect.pushes_snapshot)
    played = throttled(replay_events(recording, reader, clock), ReplayPacer(speed, clock))
    return ReplayDriver(service, clock.monotonic_ns).run(played)
