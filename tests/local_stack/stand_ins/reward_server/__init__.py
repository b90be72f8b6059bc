"""A reward server without rewards: what the stack starts, answering as the real one does, in milliseconds."""
