"""What model-based kinds are built from: where weights come from, how they are loaded and run."""
