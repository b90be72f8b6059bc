"""The run as it happens: a table that renews itself on a terminal, one plain line a step elsewhere."""

import statistics
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

Record = Mapping[str, Any]
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48


class LiveView:
    """Shows each step's record as it is handed in; a context manager, and the run's only writer to the terminal."""

    def __init__(self, title: str, *, shown: bool = True, console: Console | None = None) -> None:
        self.title = title
        self.console = console or Console(file=sys.stdout, highlight=False, quiet=not shown)
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self._rewards: list[float] = []
        self._seconds: deque[float] = deque(maxlen=10)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def step(self, record: Record) -> None:
        self._seconds.append(record["step_seconds"])
        mean = _of(record, "reward", "mean")
        self._rewards += [] if mean is None else [mean]
        if self._live is None:
            self.say(plain_line(record, self._eta(record)))
        else:
            self._live.update(self._panel(record), refresh=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _eta(self, record: Record) -> float:
        # Of recent steps alone: the first one also pays for what is set up once.
        return statistics.median(self._seconds) * float(max(0, record["steps"] - record["step"]))

    def _panel(self, record: Record) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", min_width=16)
        table.add_column()
        for name, value in described(record):
            table.add_row(name, value)
        if len(self._rewards) > 1:
            table.add_row("reward so far", Text(sparkline(self._rewards[-WIDTH:]), style="cyan"))
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=record["steps"], completed=record["step"], width=WIDTH)
        head.add_row(f"step {record['step']}/{record['steps']}", bar, f"{duration(self._eta(record))} left")
        return Panel(Group(head, Text(), table), title=self.title, title_align="left", expand=False, padding=(1, 2))


def described(record: Record) -> list[tuple[str, str]]:
    """Return what a step's record says as (name, text) rows."""
    rows = [("reward", f"{number(_of(record, 'reward', 'mean'))} ± {number(_of(record, 'reward', 'std'))}")]
    rows += [(f"  {name}", number(stats["mean"])) for name, stats in record.get("components", {}).items()]
    shares = record.get("signal_share") or {}
    rows.append(("signal share", "  ".join(f"{name} {percent(share)}" for name, share in shares.items()) or "–"))
    rows.append(("failed", percent(record.get("failed_share"))))
    rows.append(("dead groups", percent(record.get("dead_group_share"))))
    seconds, share = record["reward_seconds"], record["reward_time_share"]
    rows.append(("waited for reward", f"{seconds * 1000:.0f} ms, {percent(share)} of {record['step_seconds']:.1f} s"))
    return rows


def plain_line(record: Record, eta: float) -> str:
    shares = record.get("signal_share") or {}
    parts = [
        f"step {record['step']}/{record['steps']}",
        f"reward {number(_of(record, 'reward', 'mean'))} ± {number(_of(record, 'reward', 'std'))}",
        *(f"{name} {number(stats['mean'])}" for name, stats in record.get("components", {}).items()),
        f"failed {percent(record.get('failed_share'))}",
        f"signal {' '.join(f'{name} {percent(share)}' for name, share in shares.items()) or '–'}",
        f"reward wait {record['reward_seconds']:.3f} s = {percent(record['reward_time_share'])}"
        f" of {record['step_seconds']:.2f} s",
        f"{duration(eta)} left",
    ]
    return " | ".join(parts)


def sparkline(values: list[float]) -> str:
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def percent(share: float | None) -> str:
    """Return a share as a percentage, with as many digits as a small one needs to differ from nothing."""
    if share is None:
        return "–"
    return f"{100 * share:.1f}%" if 0 < abs(share) < 0.1 else f"{100 * share:.0f}%"


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def _of(record: Record, name: str, part: str) -> float | None:
    found = record.get(name)
    return None if found is None else found[part]
