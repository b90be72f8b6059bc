"""What would keep a run from starting or from teaching anything, and what it costs: found before it starts."""
