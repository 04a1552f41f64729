"""Pure decisions: features from prices, wishes from predictions."""
