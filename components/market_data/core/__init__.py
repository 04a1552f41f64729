"""Pure decisions about books, feeds and time stamps."""
