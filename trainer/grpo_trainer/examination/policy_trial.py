"""What `guerdon doctor` learns with the policy loaded: lengths, work, disk space, and whether each term teaches."""

from collections.abc import Iterator
from pathlib import Path

from grpo_trainer import quiet, run_parts
from grpo_trainer.examination import expected_work, prompt_lengths
from grpo_trainer.examination.finding import Finding, ok
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.model import policy
from grpo_trainer.model.completion_positions import only_completions
from grpo_trainer.teaching import sensitivity_trial
from guerdon.client import RewardServerError
from guerdon.trl import TooManyFailed, own_attempt


def examined(ready: Ready, out: Path) -> Iterator[Finding]:
    """Yield the findings as they are made. `ready.out` is scratch; the run itself would write to `out`.

    Raises:
        RunFileError: the policy cannot be loaded, or TRL refuses the settings.
    """
    quiet.after_imports()
    only_completions()
    config = ready.config
    args = run_parts.grpo_config(ready)
    model, tokenizer = run_parts.load_policy(ready)
    yield ok(
        "policy", f"{config.policy.model}: {model.num_parameters():,} weights, fingerprint {policy.fingerprint(model)}"
    )
    lengths = prompt_lengths.lengths(tokenizer, ready.rows[0])
    fits = prompt_lengths.fit(model.config, lengths, args.max_completion_length or 0)
    yield fits
    work = expected_work.work(args, len(ready.rows[0]), len(ready.rows[1]))
    yield from expected_work.of_calls(config, args, work, sum(lengths) / len(lengths))
    reward = run_parts.remote_reward(ready, args, own_attempt())
    trainer = run_parts.make_trainer(ready, args, model, tokenizer, reward)
    trained, beside = run_parts.weights(trainer, ready)
    yield ok("trained weights", f"{trained:,}")
    yield expected_work.of_disk(out, args, work, trained, beside)
    if fits.level != "fail":
        try:
            yield from sensitivity_trial.tried(trainer, config.weights)
        except (TooManyFailed, RewardServerError) as error:
            yield Finding("fail", sensitivity_trial.SUBJECT, str(error))
