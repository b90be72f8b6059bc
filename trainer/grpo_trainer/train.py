"""`guerdon train RUN.toml`: the arguments, the run file and everything that can be refused before torch is loaded."""

import sys

from grpo_trainer import quiet
from grpo_trainer.arguments import overrides, parsed
from grpo_trainer.config import run_file
from grpo_trainer.config.run_file import NotReadyError, RunFileError
from grpo_trainer.examination import golden_item, preflight
from grpo_trainer.stop_signal import StopSignal
from long_work.command_error import CommandError


def main(argv: list[str]) -> int:
    """Run the command; return its exit status.

    2 when the run cannot start as it is described, 1 when it fails later or what it needs does not answer: the same
    command may then succeed.
    """
    arguments = parsed(argv)
    try:
        with StopSignal() as stop:
            file = run_file.read(arguments.run, overrides(arguments), arguments.size)
            config = file.config()
            ready = preflight.Ready(
                name=file.name,
                config=config,
                out=preflight.output_folder(config, file.name, resume=arguments.resume),
                rows=preflight.load_rows(config),
                served=preflight.served_rewards(config),
                token=preflight.token(config),
                resume=arguments.resume,
                size=file.size,
            )
            golden_item.require(ready)
            quiet.before_imports()
            from grpo_trainer.run import run  # torch and TRL, only once the run is known to be able to start

            return run(ready, stop)
    except CommandError as error:
        print(f"guerdon train: {error}", file=sys.stderr)
        return 2 if isinstance(error, RunFileError) and not isinstance(error, NotReadyError) else 1
    except ModuleNotFoundError as error:
        print(f"guerdon train needs {error.name!r}: pip install 'guerdon[trainer]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return stop.status
