"""Pure decisions: features, model cards, the strategy, the state of a symbol."""
