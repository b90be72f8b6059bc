"""`guerdon train RUN.toml`: the arguments, the run file and everything that can be refused before torch is loaded."""

import argparse
import sys

from grpo_trainer import quiet
from grpo_trainer.arguments import overrides, parsed
from grpo_trainer.config import run_file
from grpo_trainer.config.run_file import NotReadyError, RunFileError
from grpo_trainer.examination import golden_item, preflight
from grpo_trainer.record import earlier_run, manifest, run_lock
from grpo_trainer.stop_signal import StopSignal
from long_work.command_error import CommandError


def main(argv: list[str]) -> int:
    """Run the command; return its exit status.

    2 when the run cannot start as it is described, 4 when it has ended itself with a diagnosis, 128 + the signal's
    number when it was stopped; 1 when it fails otherwise or what it needs does not answer: the same command may then
    succeed.
    """
    arguments = parsed(argv)
    try:
        with StopSignal() as stop:
            return _trained(arguments, stop)
    except CommandError as error:
        print(f"guerdon train: {error}", file=sys.stderr)
        return 2 if isinstance(error, RunFileError) and not isinstance(error, NotReadyError) else 1
    except ModuleNotFoundError as error:
        print(f"guerdon train needs {error.name!r}: pip install 'guerdon[trainer]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return stop.status


def _trained(arguments: argparse.Namespace, stop: StopSignal) -> int:
    file = run_file.read(arguments.run, overrides(arguments), arguments.size)
    config = file.config()
    out = preflight.output_folder(config, file.name, resume=arguments.resume)
    with run_lock.held(out):
        ready = preflight.Ready(
            name=file.name,
            config=config,
            out=out,
            rows=preflight.load_rows(config),
            served=preflight.served_rewards(config),
            token=preflight.token(config),
            resume=arguments.resume,
            size=file.size,
            resume_changed=arguments.resume_changed,
        )
        if ready.resume and preflight.is_first_rank():
            earlier_run.require_same(out, manifest.described(ready), changed=ready.resume_changed)
        golden_item.require(ready)
        quiet.before_imports()
        from grpo_trainer.run import run  # torch and TRL, only once the run is known to be able to start

        return run(ready, stop)
