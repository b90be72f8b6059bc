"""Money and tokens: what is reserved, spent, presumed and left; alone, or shared through Redis."""
