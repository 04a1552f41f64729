"""Entry point of the risk executable."""

import sys

from components.risk.cli import cli
from components.runtime.cli import run_command


def main() -> None:
    """Run a command and exit with its code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
