"""Dialogues about films, written for this project: who seeks one and how they feel, and replies of known quality."""
