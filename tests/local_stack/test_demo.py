"""`guerdon demo` with a trainer that trains nothing: what it is told, what is printed, what is stopped."""

import json
import signal

import pytest
from tests.local_stack.conftest import Place, eventually


def test_the_trainer_gets_the_url_of_a_server_that_is_ready(place: Place) -> None:
    command = place.guerdon("demo", "--steps", "3", "--policy", "some/model", "--seed", "7", "--out", "here")
    assert command.wait(60) == 0, place.err
    told = json.loads((place.path / "here" / "chart.png").read_text())
    assert told["run"] == "demo"
    assert told["ready"]
    assert (told["--steps"], told["--policy"], told["--seed"]) == ("3", "some/model", "7")


def test_it_shows_what_was_made_and_leaves_nothing_running(place: Place) -> None:
    assert place.guerdon("demo").wait(60) == 0, place.err
    assert str(place.path / "runs" / "demo-1" / "chart.png") in place.out
    assert "report.html" not in place.out
    assert "--policy Qwen/Qwen2.5-0.5B-Instruct" in place.out
    assert not place.processes()


def test_a_second_demo_leaves_the_results_of_the_first_alone(place: Place) -> None:
    (place.path / "runs" / "demo-1").mkdir(parents=True)
    assert place.guerdon("demo").wait(60) == 0, place.err
    assert (place.path / "runs" / "demo-2" / "chart.png").exists()
    assert not any((place.path / "runs" / "demo-1").iterdir())


def test_a_failed_training_is_the_demos_own_failure(place: Place) -> None:
    assert place.guerdon("demo", STAND_IN_EXITS="3").wait(60) == 3
    assert "The training exited with 3" in place.out
    assert not place.processes()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_trainer_save_and_stops_both(place: Place, stop: signal.Signals) -> None:
    command = place.guerdon("demo", "--out", "here", STAND_IN_TRAINS_ON="1")
    place.await_word("training", command)
    command.send_signal(stop)
    assert command.wait(30) == 130
    assert (place.path / "here" / "checkpoint").exists()
    assert not place.processes()


def test_killed_outright_it_takes_the_trainer_along(place: Place) -> None:
    command = place.guerdon("demo", STAND_IN_TRAINS_ON="1")
    place.await_word("training", command)
    command.kill()
    eventually(lambda: not place.processes())


def test_kept_up_it_serves_until_it_is_stopped(place: Place) -> None:
    command = place.guerdon("demo", "--keep-up")
    place.await_word("Ctrl-C stops them", command)
    assert place.processes("reward_server")
    command.send_signal(signal.SIGINT)
    assert command.wait(15) == 0
    assert not place.processes()
