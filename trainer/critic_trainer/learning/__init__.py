"""Training a critic: its file, its encoder, the loss, and when to stop."""
