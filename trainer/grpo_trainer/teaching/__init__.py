"""What a step teaches: its rollout, the signals that say whether training is real, and what follows from them."""
