"""Pure decisions about books, feeds and timestamps."""
