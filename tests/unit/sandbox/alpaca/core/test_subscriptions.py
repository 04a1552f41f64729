"""Subscriptions of a market-data connection."""

from components.sandbox.alpaca.core.subscriptions import Subscriptions


def test_too_many_symbols_leave_the_subscriptions_unchanged() -> None:
    held = Subscriptions(2, frozenset({"A", "B", "C"}))
    assert held.add({"trades": ["A"], "quotes": ["A", "B"]})
    assert not held.add({"quotes": ["C"]})
    assert not held.add({"quotes": ["*"]})
    assert held.add({"bars": ["*"]})
    assert held.document()["quotes"] == ["A", "B"]
    assert held.includes("bars", "Z")
    assert not held.includes("quotes", "C")
