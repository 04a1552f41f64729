"""Local venues to test against: Alpaca's trading and data; Binance's, OKX's and Deribit's market data."""
