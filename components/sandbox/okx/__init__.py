"""OKX as a sandbox venue: its websocket channels, its REST answers, and the ways in which its books surprise."""
