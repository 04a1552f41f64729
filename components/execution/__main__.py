"""Hands the command line over to the verbs."""

import sys

from components.execution.cli import cli
from components.runtime.cli import run_command


def main() -> None:
    """Run a verb and leave with its exit code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
