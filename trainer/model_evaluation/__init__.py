"""Compare language models on the same prompts through a judge, with statistics that say how sure one may be."""
