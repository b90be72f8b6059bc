"""Chains of guerdon's own commands, one file per research system."""
