"""How varied the completions of a prompt are: arms of several seeds, metrics of a set, their quality, their report."""
