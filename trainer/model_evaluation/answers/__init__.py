"""Where the answers come from: local models, endpoints, files."""
