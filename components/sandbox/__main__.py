"""Run the sandbox venue as a program of its own."""

from components.sandbox.cli import main

if __name__ == "__main__":
    main()
