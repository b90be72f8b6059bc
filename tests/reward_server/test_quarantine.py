import threading
from concurrent.futures import ThreadPoolExecutor

from reward_server.quarantine import Quarantine


def test_a_suspect_never_runs_beside_anything_else() -> None:
    quarantine, running, worst = Quarantine(), set[str](), list[set[str]]()
    lock = threading.Lock()

    def run(number: int) -> None:
        alone = number % 5 == 0
        with quarantine.alone() if alone else quarantine.company():
            with lock:
                running.add(f"suspect {number}" if alone else f"call {number}")
                worst.append(set(running))
            with lock:
                running.clear() if alone else running.discard(f"call {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(200)))
    assert all(len(some) == 1 for some in worst if any(name.startswith("suspect") for name in some))


def test_model_calls_keep_one_another_company() -> None:
    quarantine, both = Quarantine(), threading.Barrier(2, timeout=5)

    def run() -> bool:
        with quarantine.company():
            both.wait()
            return True

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: run(), range(2)))


def test_a_suspect_is_not_kept_waiting_by_calls_that_come_after_it() -> None:
    quarantine, order = Quarantine(), list[str]()
    with ThreadPoolExecutor(2) as pool:

        def suspect() -> None:
            with quarantine.alone():
                order.append("suspect")

        def call() -> None:
            with quarantine.company():
                order.append("call")

        with quarantine.company():
            first = pool.submit(suspect)
            while not quarantine._asking:
                threading.Event().wait(0.001)
            second = pool.submit(call)
        first.result(5)
        second.result(5)
    assert order == ["suspect", "call"]


def test_many_suspects_do_not_keep_everybody_else_out() -> None:
    quarantine, order, ready = Quarantine(), list[str](), threading.Barrier(7, timeout=5)

    def suspect() -> None:
        ready.wait()
        with quarantine.alone():
            order.append("suspect")

    def call() -> None:
        ready.wait()
        while quarantine._asking < 3:
            threading.Event().wait(0.001)
        with quarantine.company():
            order.append("call")

    with ThreadPoolExecutor(8) as pool:
        with quarantine.company():
            tasks = [pool.submit(suspect) for _ in range(5)] + [pool.submit(call)]
            ready.wait()
            while quarantine._asking < 5 or not quarantine._kept_waiting:
                threading.Event().wait(0.001)
        for task in tasks:
            task.result(5)
    assert order.index("call") == 1  # after the first of the suspects
