"""Entry point of the `xtrader` command."""

import sys

from components.runtime.cli import run_command
from components.xtrader.cli import cli


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
