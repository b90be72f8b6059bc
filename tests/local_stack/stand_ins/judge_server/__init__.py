"""A judge server without judges: what the stack starts, answering as the real one does, in milliseconds."""
