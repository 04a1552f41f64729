"""Pure decisions: what an order is, what the venue's word changes, and what is to be done next."""
