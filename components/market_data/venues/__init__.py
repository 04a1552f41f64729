"""The edges to the world, one folder per venue, the same rooms in each."""
