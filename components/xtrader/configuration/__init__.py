"""What the configuration says, where each of its keys comes from, and what it may say."""
