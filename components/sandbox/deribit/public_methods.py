"""The public methods of the simulated Deribit, served over websocket and HTTP: time, instruments, books, login."""

import secrets
from collections.abc import Callable, Iterable, Mapping

from components.sandbox.deribit.instruments import CURRENCIES, KIND_NAMES, encode_instrument, matches
from components.sandbox.deribit.messages import (
    BAD_INSTRUMENT,
    INVALID_CREDENTIALS,
    METHOD_NOT_FOUND,
    RpcError,
    invalid_params,
    order_book_document,
)
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.instruments import Instrument, by_symbol
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.auth import Credentials, credentials_match
from components.sandbox.transport.fault_injection import snapshot_id
from components.sandbox.transport.faults import CryptoFaultSwitches

VENUE = "deribit"
VERSION = {"version": "1.2.26"}
DEPTHS = ("1", "5", "10", "20", "50", "100", "1000", "10000")
TOKEN_LIFETIME_S = 900
Params = Mapping[str, object]
Document = dict[str, object]


class PublicMethods:
    """The methods that change no state."""

    def __init__(
        self, instruments: Iterable[Instrument], flow: OrderFlow, faults: CryptoFaultSwitches, now_ns: Callable[[], int]
    ) -> None:
        self._by_symbol = by_symbol(instruments)
        self._flow, self._faults, self._now_ns = flow, faults, now_ns
        self._indexes = {symbol: index for index, symbol in enumerate(self._by_symbol)}
        self._methods: dict[str, Callable[[Params], object]] = {
            "public/get_time": lambda _: self._now_ms(),
            "public/test": lambda _: VERSION,
            "public/hello": lambda _: VERSION,
            "public/get_instruments": self._get_instruments,
            "public/get_instrument": self._get_instrument,
            "public/get_order_book": self._get_order_book,
        }

    def call(self, method: str, params: Params) -> object:
        """Return the result of a call, or an RpcError."""
        handler = self._methods.get(method)
        return METHOD_NOT_FOUND if handler is None else handler(params)

    def _get_instruments(self, params: Params) -> object:
        currency, kind = params.get("currency"), params.get("kind")
        if currency not in CURRENCIES:
            return invalid_params("currency", f"must be one of {', '.join(CURRENCIES)}")
        if kind not in {None, "any", *KIND_NAMES.values()}:
            return invalid_params("kind", "unknown kind")
        if str(params.get("expired", "false")).lower() == "true":
            return []
        found = [
            one for one in self._by_symbol.values() if matches(one, str(currency), None if kind is None else str(kind))
        ]
        return [encode_instrument(one, self._indexes[one.symbol]) for one in found]

    def _get_instrument(self, params: Params) -> object:
        instrument = self._by_symbol.get(str(params.get("instrument_name")))
        return BAD_INSTRUMENT if instrument is None else encode_instrument(instrument, self._indexes[instrument.symbol])

    def _get_order_book(self, params: Params) -> object | RpcError:
        instrument, depth = self._by_symbol.get(str(params.get("instrument_name"))), str(params.get("depth", 5))
        if instrument is None:
            return BAD_INSTRUMENT
        if depth not in DEPTHS:
            return invalid_params("depth", f"must be one of {', '.join(DEPTHS)}")
        flow_id = snapshot_id(self._flow, self._faults, VENUE, instrument.symbol)
        return order_book_document(
            instrument, self._flow.book_at(instrument.symbol, flow_id), int(depth), self._now_ms()
        )

    def _now_ms(self) -> int:
        return self._now_ns() // MILLISECOND_NS


class TokenIssuer:
    """Issues access and refresh tokens by key and secret or by a refresh token; keeps all tokens of one run."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._access: set[str] = set()
        self._refresh: set[str] = set()

    def authenticate(self, params: Mapping[str, object]) -> Document | RpcError:
        """Return new tokens for valid credentials, else an RpcError."""
        match params.get("grant_type"):
            case "client_credentials":
                key, secret = str(params.get("client_id", "")), str(params.get("client_secret", ""))
                is_known = credentials_match(self._credentials, key, secret)
            case "refresh_token":
                is_known = params.get("refresh_token") in self._refresh
            case _:
                return invalid_params("grant_type", "must be client_credentials or refresh_token")
        return self._tokens() if is_known else INVALID_CREDENTIALS

    def is_valid_token(self, token: object) -> bool:
        """Return whether this access token was issued."""
        return token in self._access

    def _tokens(self) -> Document:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._access.add(access)
        self._refresh.add(refresh)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_LIFETIME_S,
            "scope": "connection mainaccount trade:read",
            "token_type": "bearer",
        }
