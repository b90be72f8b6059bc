"""What a run file says: read, sized, checked, and where something is wrong, in its own words."""
