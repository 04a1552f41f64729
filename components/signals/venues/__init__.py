"""The edges to the world: the runtime that carries a trained model."""
