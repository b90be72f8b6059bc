"""A Bradley-Terry reward model, trained on pairs of a chosen and a rejected reply."""
