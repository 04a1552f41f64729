"""Every way the system can fail, sorted by what to do about it.

TradingError
├── UsageError             the person asked for what cannot be                      exit 64
├── ConfigError            a file is wrong: refuse to start                         exit 78
├── DamagedData            a log or recording is broken: refuse, name the record    exit 65
├── PeerUnreachable        a verb needs a process that is not there                 exit 69
├── IoFailed               disk full, failed sync: stop before acknowledging        exit 74
├── Busy                   lock or port is held: say by whom                        exit 75
├── ContractError          a peer sent nonsense: drop, count, log once a minute, go on
├── VenueError
│   ├── VenueUnavailable   try again within the retry budget, then halt new risk
│   └── VenueRejected      final for this order: publish it, go on
└── InvariantError         a bug: publish halt, crash, let the supervisor restart   exit 70
"""


class TradingError(Exception):
    """The root of everything the system raises on purpose."""


class UsageError(TradingError):
    """The person asked for what cannot be."""


class ConfigError(TradingError):
    """A file is wrong: nothing starts."""


class CorruptData(TradingError):
    """A log or recording is broken; the message names the record."""


class PeerUnreachable(TradingError):
    """A verb needs a process that is not there."""


class StorageError(TradingError):
    """The disk failed: stop before anything is acknowledged."""


class ResourceBusy(TradingError):
    """A lock or port is held; the message says by whom."""


class ProtocolError(TradingError):
    """A peer sent nonsense: it is dropped and counted, and the work goes on."""


class VenueError(TradingError):
    """The venue did not do what was asked."""


class VenueUnavailable(VenueError):
    """The venue could not be asked or did not answer: the outcome may be unknown."""


class VenueRejected(VenueError):
    """The venue said no, and that is final for this order."""


class InvariantError(TradingError):
    """A bug: the process ends rather than trade on a broken promise."""
