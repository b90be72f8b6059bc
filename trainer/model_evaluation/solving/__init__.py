"""Whether completions are right: checkers, the confinement in which tests run, the report of pass@k."""
