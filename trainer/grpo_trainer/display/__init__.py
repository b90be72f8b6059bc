"""What a person sees of a run: live, and as a page afterwards."""
