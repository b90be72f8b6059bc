"""A seller's first line to a customer: many good answers to every prompt, and demonstrations, some of them careless."""
