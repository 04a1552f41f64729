"""Entry point of the signals executable."""

import sys

from components.runtime.cli import run_command
from components.signals.cli import cli


def main() -> None:
    """Run a command and exit with its code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
