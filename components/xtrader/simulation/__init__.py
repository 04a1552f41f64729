"""All four services in one process on a simulated machine, crashed at every effect, all of it from one seed."""
