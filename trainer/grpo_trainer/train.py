"""`guerdon train RUN.toml`: the arguments, the run file and everything that can be refused before torch is loaded."""

import sys

from grpo_trainer import golden_item, preflight, quiet, run_file
from grpo_trainer.arguments import overrides, parsed
from grpo_trainer.run_file import RunFileError
from grpo_trainer.stop_signal import StopSignal


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when the run cannot start as described, 1 when it fails later."""
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
    except RunFileError as error:
        print(f"guerdon train: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"guerdon train needs {error.name!r}: pip install 'guerdon[trainer]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return stop.status
