"""Documents of the API."""

from components.sandbox.alpaca.core.responses import asset_id


def test_an_asset_id_depends_only_on_the_symbol() -> None:
    assert asset_id("AAPL") == asset_id("AAPL") != asset_id("MSFT")
