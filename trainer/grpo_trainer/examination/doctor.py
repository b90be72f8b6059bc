"""`guerdon doctor RUN.toml`: everything that would keep a run from starting or from teaching anything, and its cost."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from grpo_trainer import quiet
from grpo_trainer.arguments import described, overrides
from grpo_trainer.config import run_file
from grpo_trainer.config.effective_settings import effective
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination import golden_item, preflight
from grpo_trainer.examination.finding import Finding, fail, ok, warn
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.record.ledger import holds_a_run

Found = TypeVar("Found")


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 0 when nothing failed, else 1."""
    arguments = parsed(argv)
    examination = Examination()
    try:
        file = run_file.read(arguments.run, overrides(arguments), arguments.size)
        config = file.config()
    except RunFileError as error:
        examination.say(fail("run file", str(error)))
        return 1
    examination.say(ok("run file", f"{file.source} at its {file.size} size"))
    ready = examination.ready(file.name, config, file.size)
    examination.policy(ready, quick=arguments.quick)
    if not arguments.quiet:
        print("\nThe run as it would start:", *effective(config), sep="\n  ")
    return 1 if examination.failed else 0


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="guerdon doctor",
        description="Say what would keep a run from starting, what would keep it from teaching anything, and what it "
        "will cost. It asks for real scores and generates with the policy, and it writes nothing.",
    )
    described(parser)
    parser.add_argument("--quick", action="store_true", help="do not load the policy")
    parser.add_argument("--quiet", action="store_true", help="do not print the effective settings")
    return parser.parse_args(argv)


@dataclass
class Examination:
    """Says each finding as it is made. What depends on something that failed is not examined."""

    failed: int = 0

    def say(self, finding: Finding) -> None:
        self.failed += finding.level == "fail"
        print(finding, flush=True)

    def ready(self, name: str, config: RunConfig, size: str) -> Ready | None:
        """Examine all that needs no policy; return the run, or None where it cannot start."""
        rows = self._tried("dataset", preflight.load_rows, config)
        if rows is not None:
            self.say(
                ok("dataset", f"{config.dataset.name}: {len(rows[0])} rows to train on, {len(rows[1])} to evaluate")
            )
        served = self._tried("rewards", preflight.served_rewards, config)
        for info in (served or {}).values():
            said = f"{info.name}: {info.kind}, scores {info.scope}s, runs {info.runs}, version {info.version}"
            self.say(ok("rewards", f"{config.services.reward_url} serves {said}"))
        folder = config.output.folder(name)
        self.say(_of_output(folder))
        if rows is None or served is None:
            return None
        ready = Ready(name, config, folder, rows, served, preflight.token(config), False, size)
        for finding in [*preflight.warnings_of_served(ready), *golden_item.scored(ready)]:
            self.say(finding)
        return ready

    def policy(self, ready: Ready | None, *, quick: bool) -> None:
        """Examine what needs the policy, which generates and scores a batch where the reward has several terms."""
        if quick or ready is None:
            why = "as --quick asks" if quick else "before what failed above is mended"
            self.say(warn("policy", f"not examined {why}"))
            return
        quiet.before_imports()
        try:
            from grpo_trainer.examination.policy_trial import examined  # torch and TRL
        except ModuleNotFoundError as error:
            self.say(fail("policy", f"{error.name!r} is not installed: pip install 'guerdon[trainer]'"))
            return
        with TemporaryDirectory(prefix="guerdon-doctor-") as scratch:
            try:
                for finding in examined(replace(ready, out=Path(scratch)), ready.out):
                    self.say(finding)
            except RunFileError as error:
                self.say(fail("policy", str(error)))

    def _tried(self, subject: str, examine: Callable[[RunConfig], Found], config: RunConfig) -> Found | None:
        try:
            return examine(config)
        except RunFileError as error:
            self.say(fail(subject, str(error)))
            return None


def _of_output(folder: Path) -> Finding:
    if holds_a_run(folder):
        return warn("output", f"{folder} holds a run already: --resume goes on with it, another --out begins anew")
    if not os.access(preflight.existing(folder), os.W_OK):
        return fail("output", f"{folder} cannot be written. Choose another --out.")
    return ok("output", str(folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
