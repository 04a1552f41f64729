"""The configured model's name, if it is the one that a decision was made with."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from components.signals.core.model import ModelCard
from components.xtrader.explain.story import OrderHistory


def model_name(card: Path, history: OrderHistory) -> str | None:
    """Name the model whose file has the hash in the story; None where the configured one is another."""
    if history.intent is None:
        return None
    try:
        found = ModelCard.model_validate(tomllib.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None
    return f"{found.name} version {found.version}" if found.file_hash == history.intent.provenance.model_hash else None
