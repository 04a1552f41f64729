"""Entry point of `python -m components.sandbox`."""

import sys

from components.runtime.cli import run_command
from components.sandbox.cli import cli


def main() -> None:
    """Run the command line of the sandbox and exit with its code."""
    sys.exit(run_command(cli))


if __name__ == "__main__":
    main()
