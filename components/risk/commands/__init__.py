"""Work behind the commands of risk that needs no running process."""
