"""TRL's GRPOTrainer, made to show the groups, terms and advantages of a step, which a reward function never sees."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from accelerate.utils import gather_object
from transformers import PreTrainedModel
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from grpo_trainer.held_failure import HeldFailure
from grpo_trainer.imputation.imputer import Imputer
from grpo_trainer.imputation.in_training import ImputedReward, as_tensor
from grpo_trainer.teaching import rollout
from grpo_trainer.teaching.running_weights import RunningWeights
from guerdon.step_scores import StepScores
from guerdon.trl import RemoteReward


class PolicyTrainer(GRPOTrainer):
    """GRPOTrainer with one RemoteReward, which keeps what each generation batch was given.

    The seam, held by tests/grpo_trainer/test_trainer_seam.py, is four private methods: `_calculate_rewards` is given
    every completion's tokens, `_generate_and_score_completions` returns this rank's advantages in the same order,
    `_save_checkpoint` writes a checkpoint, and `_run_epoch` trains until the run has its steps. Of TRL's own,
    `_tokenize_prompts`, `_metrics` and `_get_output_dir` are used as they are.
    """

    model: PreTrainedModel
    args: GRPOConfig

    def __init__(
        self,
        *,
        remote_reward: RemoteReward,
        target_shares: Mapping[str, float],
        imputed: str | None = None,
        imputer: Imputer | None = None,
        **settings: Any,
    ) -> None:
        self._remote = remote_reward
        self._remote.on_scores = self._keep_scores
        self._scores: list[StepScores] = []
        self._tokens: list[int] = []
        self._rows: list[rollout.Row] = []
        self._reward_seconds = 0.0
        self._reward = HeldFailure(remote_reward)
        super().__init__(reward_funcs=cast(Any, self._reward), **settings)
        self.imputation = (
            ImputedReward(imputed, imputer, remote_reward, self.accelerator) if imputed and imputer else None
        )
        self.running_weights = RunningWeights(remote_reward.weights, target_shares, scaled=self.scales_by_group)

    def take_rows(self) -> tuple[list[rollout.Row], float]:
        """Return the rows of all ranks since the last call, and the seconds that the slowest rank's rewards took."""
        taken = self._rows, self._reward_seconds
        self._rows, self._reward_seconds = [], 0.0
        return taken

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Weight the terms of the next batches so; the same on every rank, since all follow the same rows."""
        self._remote.weights = dict(weights)

    def report(self, metrics: Mapping[str, float]) -> None:
        """Add these to what TRL logs of this step, and so to every tracker of `report_to`."""
        for name, value in metrics.items():
            self._metrics["train"][name].append(value)

    @property
    def scales_by_group(self) -> bool:
        """Whether a group's advantages are divided by its own spread, which decides how groups weigh in shares."""
        return self.multi_objective_aggregation == "normalize_then_sum" or self.scale_rewards == "group"

    def _keep_scores(self, scores: StepScores) -> None:
        self._scores.append(scores)

    def _calculate_rewards(
        self, inputs: list[Any], prompts: list[Any], completions: list[Any], completion_ids_list: list[list[int]]
    ) -> Any:
        self._tokens = [len(ids) for ids in completion_ids_list]
        if self.imputation is None or self._remote.phase == "eval":
            return self._asked_for(inputs, prompts, completions, completion_ids_list)
        self.imputation.ask(
            self.model,
            self._tokenize_prompts(prompts)[0],
            completion_ids_list,
            batch=self.args.per_device_train_batch_size,
            progress=self.state.global_step / max(1, self.state.max_steps),
        )
        asked = self._asked_for(inputs, prompts, completions, completion_ids_list)
        self._rewards = self.imputation.complete(self._scores[-1])
        return as_tensor(self._rewards, like=asked)

    def _asked_for(self, *batch: Any) -> Any:
        rewards = super()._calculate_rewards(*batch)
        self._reward.raise_on_all_ranks()
        return rewards

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.imputation is not None and self.args.should_save:  # first: a checkpoint is whole once TRL has saved it
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            self.imputation.save(folder)
        super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]

    def _run_epoch(self, *epoch: Any, **named: Any) -> None:
        """Train an epoch, unless the run had come to its end already when it was saved."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*epoch, **named)  # type: ignore[no-untyped-call]

    def _generate_and_score_completions(self, inputs: list[Any]) -> dict[str, Any]:
        self._remote.phase = "train" if self.model.training else "eval"
        self._scores.clear()
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._remote.phase == "train":
            self._keep_rows(self._scores[-1], output["advantages"].tolist())
        return output

    def _keep_rows(self, scores: StepScores, advantages: list[float]) -> None:
        local = rollout.rows(scores, advantages, self._tokens)
        if self.imputation is not None:
            self.imputation.rows(local, scores, self._rewards)
        ranks: list[tuple[list[rollout.Row], float]] = gather_object([(local, scores.seconds)])
        batch = [row for rows, _ in ranks for row in rows]
        self._rows += batch
        if self.running_weights:
            self.weigh(self.running_weights.follow(batch))
        self._reward_seconds += max(seconds for _, seconds in ranks)
