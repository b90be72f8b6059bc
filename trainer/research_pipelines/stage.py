"""One stage of a pipeline: a command of guerdon, what it makes, and the servers it needs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """A command that is run once.

    Attributes:
        name: unique in its pipeline.
        command: arguments of `guerdon`; the words {reward_url} and {judge_url} in them are filled in.
        makes: files that are there once it is done.
        rewards: the text of the rewards.toml that must be served while it runs; "" for no reward server.
        judge: whether the judge server must run.
        resume: arguments added where an earlier attempt left something to go on with,
        resume_if: which is a file that matches this pattern, relative to the pipeline's folder.
        calls: expected calls of models, for --dry-run.
        tokens: expected tokens that they read and write.
    """

    name: str
    command: tuple[str, ...]
    makes: tuple[Path, ...]
    rewards: str = ""
    judge: bool = False
    resume: tuple[str, ...] = ()
    resume_if: str = ""
    calls: int = 0
    tokens: int = 0

    def arguments(self, urls: dict[str, str], out: Path) -> list[str]:
        """Return the command with its URLs, and with `resume` where there is something to go on with."""
        filled = [_filled(word, urls) for word in self.command]
        return [*filled, *self.resume] if self.resume_if and any(out.glob(self.resume_if)) else filled


def _filled(word: str, urls: dict[str, str]) -> str:
    for name, url in urls.items():
        word = word.replace(f"{{{name}}}", url)
    return word
