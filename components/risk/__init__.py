"""The only gate: judges every intent by every check, writes the decision down, hands over what passed under a seal."""
