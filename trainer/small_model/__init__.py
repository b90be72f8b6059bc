"""A small causal language model, trained from scratch on a corpus: what proves a run on two CPU cores."""
