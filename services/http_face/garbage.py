"""Keep the cycle collector out of the hot path."""

import gc


def collect_rarely() -> None:
    """Collect after 50,000 allocations instead of 700, and never look again at what start-up has left.

    A request of 64 items makes a few hundred objects that reference counting frees; looking for cycles among them and
    among the modules of torch took an eighth of the server's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
