"""The bus's sockets without ZeroMQ: who is bound where, who is connected, and who has ended."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from typing_extensions import override

from components.runtime.zmq_bus import Client, Port, Publication, Server, Transport
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.link import Frames, Inbox, Life, Link
from components.xtrader.simulation.schedule import Schedule

RECONNECT_MS: Final = 20


class _Reading(Port):
    """What every kind of socket does when it is read."""

    def __init__(self, life: "SimulatedTransport") -> None:
        self.life, self.inbox = life, Inbox(life)

    @override
    def fileno(self) -> int:
        return -1

    @override
    def is_readable(self) -> bool:
        return bool(self.inbox.frames)

    @override
    def read(self) -> Frames:
        return self.inbox.frames.popleft()

    @override
    def read_within(self, timeout_ms: int) -> Frames | None:
        return self.read() if self.is_readable() else None

    @override
    def close(self) -> None:
        self.inbox.frames.clear()


class _Subscription(_Reading):
    """A socket that hears topics of several publishers."""

    def __init__(self, life: "SimulatedTransport", topics: Iterable[bytes]) -> None:
        super().__init__(life)
        self.topics = frozenset(topics)


class _Publication(_Reading, Publication):
    """Where a process says everything; whoever is not connected yet misses it."""

    def __init__(self, life: "SimulatedTransport") -> None:
        super().__init__(life)
        self._links: dict[_Subscription, Link] = {}
        self._new: set[bytes] = set()

    def connect(self, network: "Network", subscription: _Subscription) -> None:
        """Let somebody hear us from now on."""
        self._links[subscription] = network.link(self.life, subscription.inbox)
        self._new |= subscription.topics

    @override
    def send(self, topic: bytes, header: bytes, payload: bytes) -> None:
        self.life.touch("publish")
        for subscription, link in tuple(self._links.items()):
            if not subscription.life.is_alive:
                del self._links[subscription]
            elif topic in subscription.topics:
                link.send([topic, header, payload])

    @override
    def newcomers(self) -> set[bytes]:
        new, self._new = self._new, set()
        return new


class _Server(_Reading, Server):
    """Where requests arrive; a hop's name leads back to its client."""

    def __init__(self, life: "SimulatedTransport") -> None:
        super().__init__(life)
        self._clients: dict[bytes, Link] = {}

    def connect(self, network: "Network", client: "_Client") -> Link:
        """Let a client come; give its way to us."""
        self._clients[client.name] = network.link(self.life, client.inbox)
        return network.link(client.life, self.inbox)

    @override
    def reply(self, envelope: Iterable[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        self.life.touch("reply")
        self.life.tap(frames)
        name, *hops = envelope
        link = self._clients.get(name)
        if link is None or not link.to.life.is_alive:
            return False
        link.send([*hops, b"", *frames])
        return True


class _Client(_Reading, Client):
    """Where one peer is asked; without one nothing leaves."""

    def __init__(self, life: "SimulatedTransport", name: bytes) -> None:
        super().__init__(life)
        self.name = name
        self.link: Link | None = None

    @override
    def send(self, envelope: Sequence[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        self.life.touch("send")
        link = self.link
        if link is None or not link.to.life.is_alive:
            return False
        link.send([self.name, *envelope, b"", *frames])
        return True


class SimulatedTransport(Transport):
    """The sockets of one life of one process."""

    def __init__(
        self,
        network: "Network",
        wake: Callable[[], None],
        touch: Callable[[str], None],
        tap: Callable[[tuple[bytes, bytes, bytes]], None],
    ) -> None:
        """`wake` is called when something arrived, `touch` before something leaves, `tap` sees each answer."""
        self._network = network
        self.wake, self.touch, self.tap = wake, touch, tap
        self.is_alive = True

    @override
    def publish_at(self, path: Path, high_water_mark: int) -> Publication:
        return self._network.bind(path, _Publication(self))

    @override
    def serve_at(self, path: Path, high_water_mark: int) -> Server:
        return self._network.bind(path, _Server(self))

    @override
    def subscribe_to(self, paths_with_marks: Iterable[tuple[Path, int]], topics: Iterable[bytes]) -> Port:
        subscription = _Subscription(self, topics)
        for path, _ in paths_with_marks:
            self._network.connect(path, subscription)
        return subscription

    @override
    def ask_at(self, path: Path, high_water_mark: int) -> Client:
        client = _Client(self, self._network.name())
        self._network.connect(path, client)
        return client

    @override
    def heat(self, port: Port) -> None:
        """Nothing waits here: whatever arrives wakes the process."""

    @override
    def watch(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Nothing waits here."""

    @override
    def wait(self, timeout_ms: int) -> list[Port]:
        return []

    @override
    def close(self) -> None:
        self.is_alive = False


Bound = _Publication | _Server
Connecting = _Subscription | _Client
AnyBound = TypeVar("AnyBound", _Publication, _Server)


class Network:
    """Who is bound where, and who wants to be connected there."""

    def __init__(self, schedule: Schedule, chance: Chance) -> None:
        self.schedule, self.chance = schedule, chance
        self._bound: dict[Path, Bound] = {}
        self._wanted: dict[Path, list[Connecting]] = {}
        self._names = 0

    def name(self) -> bytes:
        """Name one more hop."""
        self._names += 1
        return self._names.to_bytes(5, "big")

    def link(self, sender: Life, to: Inbox) -> Link:
        """Make one direction of a connection."""
        return Link(self.schedule, self.chance, sender, to)

    def bind(self, path: Path, port: AnyBound) -> AnyBound:
        """Take a place; whoever waits for it comes soon."""
        self._bound[path] = port
        waiting = [one for one in self._wanted.get(path, ()) if one.life.is_alive]
        self._wanted[path] = waiting
        for one in waiting:
            self._soon(path, one)
        return port

    def connect(self, path: Path, port: Connecting) -> None:
        """Be connected whenever somebody is bound there."""
        self._wanted.setdefault(path, []).append(port)
        self._soon(path, port)

    def _soon(self, path: Path, port: Connecting) -> None:
        self.schedule.after(self.chance.between_ms(0, RECONNECT_MS), lambda: self._join(path, port))

    def _join(self, path: Path, port: Connecting) -> None:
        bound = self._bound.get(path)
        if bound is None or not bound.life.is_alive or not port.life.is_alive:
            return
        match bound, port:
            case _Publication(), _Subscription():
                bound.connect(self, port)
                bound.life.wake()
            case _Server(), _Client():
                port.link = bound.connect(self, port)
            case _:
                raise TypeError(f"{type(port).__name__} at {path}")
