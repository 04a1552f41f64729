"""Alpaca: quotes and trades of stocks; order books, quotes and trades of crypto; one websocket connection each."""
