"""How a run goes on: the same run, from its last whole checkpoint, with a ledger that ends where that was saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list

from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.record import checkpoints, earlier_run, saving
from grpo_trainer.record.ledger import Ledger, read_rollouts
from grpo_trainer.step_watch import StepWatch
from grpo_trainer.teaching.rollout import Row
from grpo_trainer.trainer import PolicyTrainer


def resumed(
    trainer: PolicyTrainer, watch: StepWatch, ledger: Ledger, ready: Ready, facts: Mapping[str, Any]
) -> tuple[Path | None, list[str]]:
    """Return the last whole checkpoint, with the ledger cut back to its step, and what a person should know.

    None begins anew, at step 0. The weights of terms with a target share go on from the ledger's rollouts, and so
    does which terms have taught.

    Raises:
        RunFileError: the folder holds another run than `facts`, the manifest of this one, describes.
    """
    found: list[Any] = ["", None, [], watch.sensitivity.state(), []]
    if trainer.is_world_process_zero():
        try:
            said = _same_run(ledger.folder, ready, facts)
        except RunFileError as error:
            found[0] = str(error)
        else:
            checkpoint = _cut_back(ledger)
            rows = _taught_rows(trainer, watch, ledger)
            watch.sensitivity.follow_again(rows)
            found[1:] = [checkpoint, rows if trainer.running_weights else [], watch.sensitivity.state(), said]
    if trainer.args.world_size > 1:
        broadcast_object_list(found)
    refusal, checkpoint, rows, sensitivity, said = found
    if refusal:
        raise RunFileError(refusal)
    watch.sensitivity.restore(*sensitivity)
    if trainer.running_weights:
        trainer.weigh(trainer.running_weights.follow_again(rows))
    if trainer.imputation is not None and checkpoint is not None and not trainer.imputation.restore(str(checkpoint)):
        said = [*said, f"{checkpoint} says nothing of the imputation: it is learnt anew, and everything scored so long"]
    return checkpoint, said


def _same_run(folder: Path, ready: Ready, facts: Mapping[str, Any]) -> list[str]:
    earlier_run.require_same(folder, facts, changed=ready.resume_changed)
    kept = earlier_run.keep_manifest(folder, facts) if ready.resume_changed else None
    return [f"going on with another run than it was; its manifest is kept as {kept}"] if kept else []


def _cut_back(ledger: Ledger) -> Path | None:
    """Forget what is not of the last whole checkpoint; return that."""
    checkpoint = checkpoints.last_whole(ledger.folder)
    checkpoints.forget_broken(ledger.folder)
    saving.forget(ledger.folder)
    ledger.cut_back(checkpoints.step(checkpoint) if checkpoint else 0)
    return checkpoint


def _taught_rows(trainer: PolicyTrainer, watch: StepWatch, ledger: Ledger) -> list[Row]:
    """Return the ledger's rows that carry all terms of the run, where anybody follows them again."""
    if not trainer.running_weights and not watch.sensitivity.silent:
        return []
    names = [f"weight/{name}" for name in watch.weights]
    return [row for row in read_rollouts(ledger.folder) if all(name in row for name in names)]
