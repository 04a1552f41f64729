"""Model runtimes: how a trained model is loaded and run."""
