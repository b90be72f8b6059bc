"""What the backends have in common: clients, bodies, answers and errors of chat completions."""
