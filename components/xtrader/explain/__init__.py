"""From an order back to the tick: what was seen, judged, sent and filled, in plain words."""
