"""Entry point of the market_data executable."""

import sys

from components.market_data.cli import cli
from components.runtime.cli import run_command


def main() -> None:
    """Run a command and exit with its exit code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
