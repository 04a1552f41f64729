"""Work behind the commands of cli.py, imported only when a command runs."""
