"""What is shown at the end: numbers, charts, one page, the terminal."""
