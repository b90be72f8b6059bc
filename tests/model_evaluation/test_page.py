"""The page in a real browser: it renders, says nothing on the console, and runs no word of a model."""

import html
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guerdon.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "</pre></script><script>document.title='taken'</script><img src=x onerror=\"console.error('ran')\">{{ 7*7 }}"


@pytest.fixture(scope="module")
def page(judges: Any, tmp_path_factory: pytest.TempPathFactory, write: Any) -> Path:
    """A page with everything on it: three models, ties, failures, an empty answer, hostile ones, a stand-in."""
    folder = tmp_path_factory.mktemp("page")
    models = {
        "<b>bold</b>": {f"question {n}": HOSTILE + "e" * n for n in range(45)},
        "long-winded": {f"question {n}": "word " * (n + 1) for n in range(45)},
        "terse": {f"question {n}": "e" * (n % 9) for n in range(45)},
    }
    files = [write(folder / f"{place}.json", name, said) for place, (name, said) in enumerate(models.items())]
    arguments = [word for file in files for word in ("--outputs", str(file))]
    with judges() as judge:
        judge.judges = [judge.judges[0].model_copy(update={"warning": "a stand-in for wiring"})]
        judge.fails = lambda one: "judge_truncated" if one.prompt.endswith("7") else None
        judge.taste = lambda a, b, first: first if len(a) % 5 == 0 else "a" if a.count("e") > b.count("e") else "b"
        command = ["compare", "--judge-url", judge.url, "--num", "45", "--out", str(folder / "out")]
        assert main([*command, *arguments, "--tags", "think,score", "--show-samples", "2"]) == 3
    return folder / "out" / "report.html"


def browser(page: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    profile = page.parent / "profile"
    base = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    quiet = ["--enable-logging=stderr", "--v=0", "--disable-background-networking", "--virtual-time-budget=2000"]
    return subprocess.run(
        [*base, *quiet, *arguments, f"file://{page}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=os.environ | {"HOME": str(page.parent)},
    )


needs_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: no chromium here; the page is not looked at")


@needs_a_browser
def test_the_page_renders_without_a_word_on_the_console(page: Path) -> None:
    shot = page.parent / "page.png"
    ran = browser(page, f"--screenshot={shot}", "--window-size=1200,2400")
    assert "CONSOLE" not in ran.stderr
    assert shot.stat().st_size > 50_000  # a blank page of this size has 10 KB


@needs_a_browser
def test_a_console_error_would_be_seen(page: Path) -> None:
    broken = page.with_name("broken.html")
    broken.write_text(page.read_text().replace("<body>", "<body><script>nothing.there()</script>"))
    assert "CONSOLE" in browser(broken, "--dump-dom").stderr


@needs_a_browser
def test_the_browser_shows_a_page_of_samples_and_no_model_speaks_in_it(page: Path) -> None:
    dom = browser(page, "--dump-dom").stdout
    samples = re.findall(r"<details class=\"sample\"[^>]*>", dom)
    assert len(samples) == 45
    assert sum("hidden" in tag for tag in samples) == 25
    assert sum(" open" in tag for tag in samples) == 2
    assert "45 of 45 · page 1 of 3" in dom
    assert "<title>3 models compared</title>" in dom


def test_every_word_of_a_model_is_text(page: Path) -> None:
    text = page.read_text()
    assert html.escape(HOSTILE, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")
    assert len(re.findall(r"<script", text)) == 1
    assert "<b>bold</b>" not in text
    assert "<img" not in text


def test_the_page_needs_no_network(page: Path) -> None:
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", page.read_text())
    assert {link for link in links if not link.startswith(("#", "data:"))} == set()
