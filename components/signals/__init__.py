"""Signal generation: features from quotes, predictions from a model, intents sent to risk."""
