"""The configured model's name, if it is the one that a decision was made with."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from components.signals.core.model import ModelCard
from components.xtrader.explain.story import Story


def model_name(card: Path, story: Story) -> str | None:
    """Name the model whose file has the hash in the story; None where the configured one is another."""
    if story.intent is None:
        return None
    try:
        found = ModelCard.model_validate(tomllib.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None
    return f"{found.name} version {found.version}" if found.file_hash == story.intent.evidence.model_hash else None
