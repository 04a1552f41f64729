"""Sans-I/O services of market_data: state of quotes, synchronized books, replay; messages in, effects out."""
