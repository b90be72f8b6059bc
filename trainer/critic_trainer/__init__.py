"""Label replies, train a critic of several heads on them, and examine it."""
