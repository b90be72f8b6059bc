"""One call and its way: found in the ledger, held against the budget, sent as often as it takes, booked once."""
