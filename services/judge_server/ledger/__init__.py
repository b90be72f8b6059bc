"""Every call that was ever sent, in a database: the cache, the books and the point to resume from."""
