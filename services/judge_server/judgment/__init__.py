"""One judgment: what the judge is shown, what its reply says, how both orders become one verdict."""
