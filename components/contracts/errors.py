"""Every way the system can fail, sorted by what to do about it.

TradingError
├── UsageError             the user requested something impossible                  exit 64
├── ConfigError            a file is wrong: refuse to start                         exit 78
├── CorruptData            a log or recording is corrupt: refuse, name the record   exit 65
├── PeerUnreachable        a command needs a process that is not running            exit 69
├── StorageError           disk full, failed sync: stop before acknowledging        exit 74
├── ResourceBusy           a lock or port is held: name the holder                  exit 75
├── ProtocolError          a peer sent an invalid message: drop, count, log once a minute, continue
├── VenueError
│   ├── VenueUnavailable   retry within the retry budget, then halt new risk
│   └── VenueRejected      final for this order: publish it, continue
└── InvariantError         a bug: publish halt, crash, let the supervisor restart   exit 70
"""


class TradingError(Exception):
    """The base class of all errors that the system raises on purpose."""


class UsageError(TradingError):
    """The user requested something that is not possible."""


class ConfigError(TradingError):
    """A configuration file or value is wrong; nothing starts."""


class CorruptData(TradingError):
    """A log or recording is corrupt; the message names the record."""


class PeerUnreachable(TradingError):
    """A command needs a process that is not running or does not reply."""


class StorageError(TradingError):
    """The disk failed: stop before anything is acknowledged."""


class ResourceBusy(TradingError):
    """A lock or port is held; the message names the holder."""


class ProtocolError(TradingError):
    """A peer sent an invalid message: it is dropped and counted, and the process continues."""


class VenueError(TradingError):
    """The venue did not do what was requested."""


class VenueUnavailable(VenueError):
    """The venue could not be reached or did not reply. The outcome may be unknown."""


class VenueRejected(VenueError):
    """The venue rejected the order, which is final."""


class InvariantError(TradingError):
    """A bug: the process ends rather than trade on a broken invariant."""
