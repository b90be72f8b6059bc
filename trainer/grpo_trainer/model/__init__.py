"""The policy: its weights, tokenizer and adapter, and how its logits are computed."""
