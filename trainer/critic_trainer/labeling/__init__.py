"""Labels for replies: who gives them, whether two agree, and what becomes of it."""
