"""Pure decisions: order state, execution reports, the next action of an order, reconciliation."""
