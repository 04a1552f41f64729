"""The edge to the venues: one folder each, the same names in all of them."""
