import io
from typing import Any

import pytest
from rich.console import Console

from grpo_trainer.display.live_view import LiveView, duration, number, percent, sparkline

RECORD: dict[str, Any] = {
    "step": 3,
    "steps": 9,
    "reward": {"mean": -0.5, "std": 0.25},
    "components": {"sql_cot/format": {"mean": 0.9}, "sql_cot/abs_error": {"mean": None}},
    "failed_share": 0.0,
    "dead_group_share": 0.5,
    "signal_share": {"sql_cot": 0.8, "length": 0.2},
    "reward_seconds": 0.02,
    "step_seconds": 4.0,
    "reward_time_share": 0.005,
}
NOTHING_SCORED = RECORD | {
    "reward": {"mean": None, "std": None},
    "failed_share": 1.0,
    "signal_share": {"sql_cot": None},
}
WITHOUT_ROLLOUTS = {
    key: RECORD[key] for key in ("step", "steps", "reward_seconds", "step_seconds", "reward_time_share")
}


def shown(record: dict[str, Any], *, terminal: bool) -> str:
    text = io.StringIO()
    with LiveView("run", console=Console(file=text, force_terminal=terminal, width=140)) as view:
        view.step(record)
    return text.getvalue()


@pytest.mark.parametrize("record", [RECORD, NOTHING_SCORED, WITHOUT_ROLLOUTS])
def test_elsewhere_than_on_a_terminal_a_step_is_one_plain_line(record: dict[str, Any]) -> None:
    text = shown(record, terminal=False)
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "step 3/9" in text


@pytest.mark.parametrize("record", [RECORD, NOTHING_SCORED, WITHOUT_ROLLOUTS])
def test_a_terminal_shows_the_step_whatever_is_undefined(record: dict[str, Any]) -> None:
    assert "step 3/9" in shown(record, terminal=True)


def test_the_line_says_reward_components_failures_signal_and_the_wait() -> None:
    text = shown(RECORD, terminal=False)
    for part in (
        "reward −0.500 ± 0.250",
        "sql_cot/format 0.900",
        "sql_cot/abs_error –",
        "failed 0%",
        "sql_cot 80% length 20%",
        "reward wait 0.020 s = 0.5% of 4.00 s",
    ):
        assert part in text


def test_what_is_undefined_is_a_dash_and_never_zero() -> None:
    assert number(None) == percent(None) == "–"
    assert "reward – ± –" in shown(NOTHING_SCORED, terminal=False)


def test_durations_and_bars_read_well() -> None:
    assert [duration(seconds) for seconds in (4.2, 75, 3720)] == ["4 s", "1 min 15 s", "1 h 02 min"]
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([1.0, 1.0]) == "▁▁"
