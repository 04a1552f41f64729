"""An order's history from both journals, for people and for machines."""
