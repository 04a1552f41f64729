"""Golden bytes: a message that is encoded differently than before shows as a diff."""

import json
from pathlib import Path

import msgspec
import pytest

from components.contracts.approval import SealKey, approve, encode_approval, open_command, seal_control
from components.contracts.signals import propose
from components.runtime.bus.codec import decode_header, encode
from tests.support.sample_messages import ACCOUNT, AT_NS, CANCEL, HEADERS, INTENT, MESSAGES, TERMS, all_message_types

GOLDEN = Path(__file__).parent / "golden" / "messages.json"
KEY = SealKey(bytes(range(32)))


def written() -> dict[str, bytes]:
    """Return the encoded samples, and both kinds of sealed frames, by the name of the type."""
    messages = {type(message).__name__: encode(message) for message in MESSAGES}
    headers = {name: encode(header) for name, header in HEADERS.items()}
    sealed = {
        "sealed Intent": encode_approval(approve(propose(INTENT), TERMS, KEY)),
        "sealed Cancel": seal_control(CANCEL, TERMS, KEY),
    }
    return {**messages, **headers, **sealed}


def golden() -> dict[str, bytes]:
    return {name: bytes.fromhex(text) for name, text in json.loads(GOLDEN.read_text()).items()}


def test_every_message_type_has_a_sample() -> None:
    assert {type(message) for message in MESSAGES} == set(all_message_types())


def test_every_message_is_encoded_as_before(rewrites_golden: bool) -> None:
    if rewrites_golden:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps({name: frame.hex() for name, frame in written().items()}, indent=1) + "\n")
    assert written() == golden()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_the_golden_bytes_can_be_decoded(message: msgspec.Struct) -> None:
    assert msgspec.msgpack.decode(golden()[type(message).__name__], type=type(message)) == message


@pytest.mark.parametrize("name", HEADERS)
def test_the_golden_headers_can_be_decoded(name: str) -> None:
    assert decode_header(golden()[name]) == HEADERS[name]


@pytest.mark.parametrize("name", ["sealed Intent", "sealed Cancel"])
def test_the_golden_seals_still_open(name: str) -> None:
    open_command(golden()[name], KEY, ACCOUNT, AT_NS)
