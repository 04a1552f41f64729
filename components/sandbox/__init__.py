"""A faithful local Alpaca: hears REST and websockets, says orders, fills and a seeded market, forgets nothing."""
