"""All four services in one process on a simulated machine, from one seed."""
