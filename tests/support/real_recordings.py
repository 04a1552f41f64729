"""Recordings of real venues, where there are any, and the report that a correct implementation produces for each."""

from pathlib import Path
from typing import Any

from benchmarks.recordings import real_recordings_folder


def real_recordings() -> dict[str, Path]:
    """Return the files by their names without extension."""
    folder = real_recordings_folder()
    return {path.stem: path for path in sorted(folder.glob("*.jsonl"))} if folder else {}


def _row(
    applied: int, stale: int, bid: tuple[str, str], ask: tuple[str, str], hashes: tuple[str, str]
) -> dict[str, Any]:
    return {
        "applied": applied,
        "stale": stale,
        "gaps": 0,
        "crossed": 0,
        "best_bid": list(bid),
        "best_ask": list(ask),
        "sha256_top10": hashes[0],
        "sha256_chain_top10": hashes[1],
    }


EXPECTED_REPORTS: dict[str, dict[str, Any]] = {
    "BINANCE_NKNUSDT": _row(
        149,
        1,
        ("0.3527", "9602"),
        ("0.3531", "152"),
        (
            "86cb7bf2db5c38ed865760d9345d2b60f5583b3058416ac7e299cd660affb73b",
            "05a2354a75aa1353e4e905ce1230f23d5a51ccb5be32caa3b9ac11194c704a45",
        ),
    ),
    "BINANCEUM_SUSHIUSDT": _row(
        252,
        3,
        ("7.612", "303"),
        ("7.616", "267"),
        (
            "96d33a6bb29a0c90ee798b6def5efc8021898acb8f25e738dd4cd5d6692aca5c",
            "5558421669dc1217fa4774182f72f334940711dd69f81a3284183fafe977f7bb",
        ),
    ),
    "BINANCEUM_AKROUSDT": _row(
        188,
        1,
        ("0.01734", "502"),
        ("0.01735", "50697"),
        (
            "17d5b1af0306abffd8fddd4676df73d99419977285f3f30e716b226a2f068544",
            "214163b7d774732a6a1ce6bf5aa596fdef35c470c1f3842794e40bdcd07e30a3",
        ),
    ),
    "OKX_BTC-USDT": _row(
        97,
        0,
        ("30236.1", "0.18050747"),
        ("30236.2", "0.001"),
        (
            "6b4c137a3a07be9f32e46adbcb1a0146ae1d2a587002a4b9a042871865bf0e52",
            "d94035a1bda87ca7a7c3f557fc5bb39d6b2b99f2573a9303b8b8cee94ca680e1",
        ),
    ),
    "DERIBIT_BTC-24SEP21-8000-P": _row(
        30,
        0,
        ("0.0005", "153.1"),
        ("0.0015", "94.7"),
        (
            "fcef4fd9671dfb1a3fd9b44600a3f161f8e3b0f476b1860e349ecf5f3b70c6a9",
            "5d64401c9d0f42ed14abe24bcf768403baaff56cde148decbf5d989d9d0ab338",
        ),
    ),
    "DERIBIT_BTC-31DEC21-34000-P": _row(
        3,
        0,
        ("0.2325", "1.5"),
        ("0.236", "8.4"),
        (
            "b74cdba9eac9e85517c56fa67aaab6f4bbedce5caef6366fcbc818027d45f01f",
            "e490ac66fc6dd524c726064356b4c1ce44921b4306d72f613500841dd15f1533",
        ),
    ),
}
