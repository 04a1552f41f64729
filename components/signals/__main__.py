"""Hands the command line over to the verbs."""

import sys

from components.runtime.cli import run_command
from components.signals.cli import cli


def main() -> None:
    """Run a verb and leave with its exit code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
