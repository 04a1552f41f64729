"""Hands over to the command line."""

import sys

from components.runtime.cli import run_command
from components.sandbox.cli import cli


def main() -> None:
    """Run the sandbox's command."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
