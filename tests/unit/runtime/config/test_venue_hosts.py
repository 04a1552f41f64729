"""Only listed hosts are reached, and a live account only if three switches agree."""

from dataclasses import replace

import pytest

from components.runtime.config.venue_hosts import LiveTradingSwitches, VenueHostPolicy

AGREED = LiveTradingSwitches(env="prod", account="paper", config=True, environment="paper", file="paper")


LIVE = "https://api.alpaca.markets"


HOSTS = ("paper-api.alpaca.markets", "127.0.0.1", "api.alpaca.markets", "broker-api.alpaca.markets")


def problem(url: str, switches: LiveTradingSwitches = AGREED, hosts: tuple[str, ...] = HOSTS) -> str | None:
    return VenueHostPolicy(hosts, switches).violation(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://paper-api.alpaca.markets",
        "https://PAPER-API.alpaca.markets./v2",
        "wss://paper-api.alpaca.markets/stream",
        "http://127.0.0.1:1234",
        "ws://127.0.0.1:1234/v2/iex",
    ],
)
def test_a_listed_host_may_be_reached(url: str) -> None:
    assert problem(url) is None


@pytest.mark.parametrize("url", ["https://evil.example", "https://127.0.0.1.evil.example", "https://alpaca.markets"])
def test_a_host_that_is_not_listed_is_refused(url: str) -> None:
    assert "is not in venues.allowed_hosts (paper-api.alpaca.markets, 127.0.0.1, " in (problem(url) or "")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1",
        "file:///etc/passwd",
        "https://",
        "https://127.0.0.1:port",
        "https://paper-api.alpaca.markets@evil.example",
        "https://evil.example\\@127.0.0.1/",
        "https://127.0.0.1/ x",
        "https://[::1",
        "https://\uff41pi.alpaca.markets",
    ],
)
def test_what_readers_could_take_differently_is_refused(url: str) -> None:
    assert problem(url) == "is not a URL of the form https://host[:port]/path"


def test_keys_are_not_sent_in_the_clear() -> None:
    assert (
        problem("http://paper-api.alpaca.markets")
        == "http would send keys unencrypted; allowed for loopback hosts only"
    )


@pytest.mark.parametrize("url", [LIVE, "wss://API.alpaca.markets./stream", "https://broker-api.alpaca.markets"])
def test_a_live_account_is_always_refused_in_dev(url: str) -> None:
    assert "is for live accounts, which dev may not use" in (problem(url, replace(AGREED, env="dev")) or "")


@pytest.mark.parametrize(
    ("switches", "missing"),
    [
        (replace(AGREED, config=False), "venues.live_trading = true"),
        (replace(AGREED, environment=""), "XTRADER_LIVE_TRADING=paper"),
        (replace(AGREED, environment="other"), "XTRADER_LIVE_TRADING=paper"),
        (replace(AGREED, file=""), "a file keys/live that contains paper"),
        (replace(AGREED, file="other"), "a file keys/live that contains paper"),
    ],
)
def test_a_live_account_needs_all_three_switches(switches: LiveTradingSwitches, missing: str) -> None:
    assert problem(LIVE, switches) == f"api.alpaca.markets is for live accounts; missing: {missing}"


def test_a_live_account_is_reached_when_all_three_agree() -> None:
    assert problem(LIVE) is None


def test_a_live_account_must_be_listed_too() -> None:
    assert "is not in venues.allowed_hosts" in (problem(LIVE, hosts=("127.0.0.1",)) or "")
