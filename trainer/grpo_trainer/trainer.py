"""TRL's GRPOTrainer, made to show the groups, terms and advantages of a step, which a reward function never sees."""

from typing import Any, cast

from accelerate.utils import gather_object  # type: ignore[import-untyped]
from transformers import PreTrainedModel
from trl.trainer.grpo_trainer import GRPOTrainer

from grpo_trainer import rollout
from guerdon.step_scores import StepScores
from guerdon.trl import RemoteReward


class PolicyTrainer(GRPOTrainer):
    """GRPOTrainer with one RemoteReward, which keeps what each generation batch was given.

    The seam is two private methods, held by tests/grpo_trainer/test_trainer_seam.py: `_calculate_rewards` is given
    every completion's tokens, and `_generate_and_score_completions` returns this rank's advantages in the same order.
    """

    model: PreTrainedModel

    def __init__(self, *, remote_reward: RemoteReward, **settings: Any) -> None:
        self._remote = remote_reward
        self._remote.on_scores = self._keep_scores
        self._scores: list[StepScores] = []
        self._tokens: list[int] = []
        self._rows: list[rollout.Row] = []
        self._reward_seconds = 0.0
        super().__init__(reward_funcs=cast(Any, remote_reward), **settings)

    def take_rows(self) -> tuple[list[rollout.Row], float]:
        """Return the rows of all ranks since the last call, and the seconds that the slowest rank's rewards took."""
        taken = self._rows, self._reward_seconds
        self._rows, self._reward_seconds = [], 0.0
        return taken

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
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)

    def _generate_and_score_completions(self, inputs: list[Any]) -> dict[str, Any]:
        self._remote.phase = "train" if self.model.training else "eval"
        self._scores.clear()
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._remote.phase == "train":
            self._keep_rows(self._scores[-1], output["advantages"].tolist())
        return output

    def _keep_rows(self, scores: StepScores, advantages: list[float]) -> None:
        local = rollout.rows(scores, advantages, self._tokens)
        ranks: list[tuple[list[rollout.Row], float]] = gather_object([(local, scores.seconds)])
        self._rows += [row for rows, _ in ranks for row in rows]
        self._reward_seconds += max(seconds for _, seconds in ranks)
