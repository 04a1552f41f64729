"""What the verbs need to do their work; the verbs themselves are in cli.py."""
