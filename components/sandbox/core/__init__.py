"""The venue's pure decisions: its market, its rules, its matching and its books."""
