"""The reward server: takes score requests over HTTP, answers light rewards itself, puts heavy ones on the queue."""
