"""What long commands do alike: say how far they are, keep what is done, write files whole. It knows none of them."""
