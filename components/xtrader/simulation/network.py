"""The simulated network: the bus's sockets without ZeroMQ, and links that delay, lose and duplicate frames.

A link keeps the order of its frames as long as it lasts, and is cut when the process at one end exits.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from typing_extensions import override

from components.runtime.bus.zeromq import ClientSocket, PublisherSocket, ServerSocket, Socket, Transport
from components.xtrader.simulation.scheduler import Callback, Randomness, Scheduler

Frames = list[bytes]
FRAME_DELAY_MS_MAX: Final = 300
RECONNECT_MS_MAX: Final = 20
DELIVERED_AFTER_EXIT_PROBABILITY: Final = 0.5
"""For a frame in flight whose sender was killed; no frame arrives after a lost one."""


class Endpoint(Protocol):
    """The process at one end of a link."""

    @property
    def is_alive(self) -> bool:
        """Whether it is still running."""

    @property
    def wake(self) -> Callback:
        """Called when a frame has arrived."""


class Inbox:
    """The frames that have arrived at one socket."""

    def __init__(self, owner: Endpoint) -> None:
        self.owner = owner
        self.frames: deque[Frames] = deque()

    def receive(self, frames: Frames) -> None:
        """Add an arriving message and wake the owner, if it is still running."""
        if self.owner.is_alive:
            self.frames.append(frames)
            self.owner.wake()


class Link:
    """One direction of one connection; the order of messages is kept."""

    def __init__(self, scheduler: Scheduler, randomness: Randomness, sender: Endpoint, inbox: Inbox) -> None:
        self._scheduler, self._randomness, self._sender, self.inbox = scheduler, randomness, sender, inbox
        self._last_at_ns = 0
        self._is_cut = False

    def send(self, frames: Frames) -> None:
        """Send a message; it may be lost, duplicated, or delayed together with all that follow."""
        randomness, schedule, rates = self._randomness, self._scheduler, self._randomness.rates
        at_ns = schedule.now_ns + randomness.network_delay_ns()
        if randomness.happens(rates.frame_delay):
            at_ns += randomness.duration_ns(1, FRAME_DELAY_MS_MAX)
        self._last_at_ns = max(self._last_at_ns, at_ns)
        if randomness.happens(rates.frame_loss):
            return
        for _ in range(1 + randomness.happens(rates.frame_duplicate)):
            schedule.after(self._last_at_ns - schedule.now_ns, lambda: self._arrive(frames))

    def _arrive(self, frames: Frames) -> None:
        if not self._sender.is_alive and not self._randomness.happens(DELIVERED_AFTER_EXIT_PROBABILITY):
            self._is_cut = True
        if not self._is_cut:
            self.inbox.receive(frames)


class _SimulatedSocket(Socket):
    """The reading side of every kind of socket."""

    def __init__(self, transport: "SimulatedTransport") -> None:
        self.transport, self.inbox = transport, Inbox(transport)

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


class _SubscriberSocket(_SimulatedSocket):
    """A socket subscribed to topics of several publishers."""

    def __init__(self, transport: "SimulatedTransport", topics: Iterable[bytes]) -> None:
        super().__init__(transport)
        self.topics = frozenset(topics)


class _PublisherSocket(_SimulatedSocket, PublisherSocket):
    """The publishing socket of a process; a subscriber that is not connected yet misses the message."""

    def __init__(self, transport: "SimulatedTransport") -> None:
        super().__init__(transport)
        self._links: dict[_SubscriberSocket, Link] = {}
        self._new: set[bytes] = set()

    def connect(self, network: "Network", subscriber: _SubscriberSocket) -> None:
        """Connect a subscriber: it receives what is published from now on."""
        self._links[subscriber] = network.new_link(self.transport, subscriber.inbox)
        self._new |= subscriber.topics

    @override
    def send(self, topic: bytes, header: bytes, payload: bytes) -> None:
        self.transport.on_effect("publish")
        for subscription, link in tuple(self._links.items()):
            if not subscription.transport.is_alive:
                del self._links[subscription]
            elif topic in subscription.topics:
                link.send([topic, header, payload])

    @override
    def new_subscriptions(self) -> set[bytes]:
        new, self._new = self._new, set()
        return new


class _ServerSocket(_SimulatedSocket, ServerSocket):
    """A socket for requests; the first frame of the envelope identifies the client."""

    def __init__(self, transport: "SimulatedTransport") -> None:
        super().__init__(transport)
        self._clients: dict[bytes, Link] = {}

    def connect(self, network: "Network", client: "_ClientSocket") -> Link:
        """Connect a client and return its link to this server."""
        self._clients[client.name] = network.new_link(self.transport, client.inbox)
        return network.new_link(client.transport, self.inbox)

    @override
    def reply(self, envelope: Iterable[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        self.transport.on_effect("reply")
        self.transport.on_reply(frames)
        name, *hops = envelope
        link = self._clients.get(name)
        if link is None or not link.inbox.owner.is_alive:
            return False
        link.send([*hops, b"", *frames])
        return True


class _ClientSocket(_SimulatedSocket, ClientSocket):
    """A socket for requests to one server; without a connection nothing is sent."""

    def __init__(self, transport: "SimulatedTransport", name: bytes) -> None:
        super().__init__(transport)
        self.name = name
        self.link: Link | None = None

    @override
    def send(self, envelope: Sequence[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        self.transport.on_effect("send")
        link = self.link
        if link is None or not link.inbox.owner.is_alive:
            return False
        link.send([self.name, *envelope, b"", *frames])
        return True


class SimulatedTransport(Transport):
    """The sockets of one run of one process."""

    def __init__(
        self,
        network: "Network",
        wake: Callable[[], None],
        on_effect: Callable[[str], None],
        on_reply: Callable[[tuple[bytes, bytes, bytes]], None],
    ) -> None:
        """`wake` is called when a frame has arrived, `on_effect` before a frame leaves, `on_reply` with each reply."""
        self._network = network
        self.wake, self.on_effect, self.on_reply = wake, on_effect, on_reply
        self.is_alive = True

    @override
    def bind_publisher(self, path: Path, high_water_mark: int) -> PublisherSocket:
        return self._network.bind(path, _PublisherSocket(self))

    @override
    def bind_server(self, path: Path, high_water_mark: int) -> ServerSocket:
        return self._network.bind(path, _ServerSocket(self))

    @override
    def connect_subscriber(self, paths_with_marks: Iterable[tuple[Path, int]], topics: Iterable[bytes]) -> Socket:
        subscription = _SubscriberSocket(self, topics)
        for path, _ in paths_with_marks:
            self._network.connect(path, subscription)
        return subscription

    @override
    def connect_client(self, path: Path, high_water_mark: int) -> ClientSocket:
        client = _ClientSocket(self, self._network.new_identity())
        self._network.connect(path, client)
        return client

    @override
    def register(self, socket: Socket) -> None:
        """Do nothing: an arriving frame wakes the process."""

    @override
    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Do nothing: there are no descriptors."""

    @override
    def poll(self, timeout_ms: int) -> list[Socket]:
        return []

    @override
    def close(self) -> None:
        self.is_alive = False


Bound = _PublisherSocket | _ServerSocket
Connectable = _SubscriberSocket | _ClientSocket
AnyBound = TypeVar("AnyBound", _PublisherSocket, _ServerSocket)


class Network:
    """The bound sockets by path, and the sockets that want to connect to a path."""

    def __init__(self, scheduler: Scheduler, randomness: Randomness) -> None:
        self.scheduler, self.randomness = scheduler, randomness
        self._bound: dict[Path, Bound] = {}
        self._connecting: dict[Path, list[Connectable]] = {}
        self._names = 0

    def new_identity(self) -> bytes:
        """Return the identity frame of a new client."""
        self._names += 1
        return self._names.to_bytes(5, "big")

    def new_link(self, sender: Endpoint, inbox: Inbox) -> Link:
        """Return a new link, one direction of a connection."""
        return Link(self.scheduler, self.randomness, sender, inbox)

    def bind(self, path: Path, socket: AnyBound) -> AnyBound:
        """Bind a socket; sockets that wait for this path connect soon."""
        self._bound[path] = socket
        connecting = [one for one in self._connecting.get(path, ()) if one.transport.is_alive]
        self._connecting[path] = connecting
        for one in connecting:
            self._connect_later(path, one)
        return socket

    def connect(self, path: Path, socket: Connectable) -> None:
        """Connect a socket as soon as another is bound to the path, and again after each restart."""
        self._connecting.setdefault(path, []).append(socket)
        self._connect_later(path, socket)

    def _connect_later(self, path: Path, socket: Connectable) -> None:
        self.scheduler.after(self.randomness.duration_ns(0, RECONNECT_MS_MAX), lambda: self._establish(path, socket))

    def _establish(self, path: Path, socket: Connectable) -> None:
        bound = self._bound.get(path)
        if bound is None or not bound.transport.is_alive or not socket.transport.is_alive:
            return
        match bound, socket:
            case _PublisherSocket(), _SubscriberSocket():
                bound.connect(self, socket)
                bound.transport.wake()
            case _ServerSocket(), _ClientSocket():
                socket.link = bound.connect(self, socket)
            case _:
                raise TypeError(f"{type(socket).__name__} at {path}")
