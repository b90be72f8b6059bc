"""What `PolicyTrainer` and `StepWatch` rely on in TRL and transformers: a failure here says which part of it moved."""

import ast
import inspect
import textwrap

import pytest
from accelerate import PartialState
from trl import GRPOTrainer
from trl.trainer import grpo_trainer as trl_module
from trl.trainer.utils import is_async_callable

from grpo_trainer import quiet
from grpo_trainer.trainer import PolicyTrainer
from guerdon.trl import RemoteReward


def parameters(method: object) -> list[str]:
    return list(inspect.signature(method).parameters)  # type: ignore[arg-type]


def test_the_overridden_methods_have_the_signatures_they_are_called_with() -> None:
    assert parameters(GRPOTrainer._calculate_rewards) == [
        "self",
        "inputs",
        "prompts",
        "completions",
        "completion_ids_list",
    ]
    assert parameters(GRPOTrainer._generate_and_score_completions) == ["self", "inputs"]
    assert parameters(GRPOTrainer._save_checkpoint) == ["self", "model", "trial"]


def test_no_more_than_three_methods_of_trl_are_overridden() -> None:
    ours = {name for name, member in vars(PolicyTrainer).items() if inspect.isfunction(member)}
    assert {name for name in ours if hasattr(GRPOTrainer, name)} == {
        "__init__",
        "_calculate_rewards",
        "_generate_and_score_completions",
        "_save_checkpoint",
    }


def test_prompts_are_cut_into_tokens_as_trl_cuts_them_for_generation() -> None:
    assert parameters(GRPOTrainer._tokenize_prompts) == ["self", "prompts"]
    body = inspect.getsource(GRPOTrainer._generate)
    assert "prompt_ids, images, multimodal_fields = self._tokenize_prompts(prompts)" in body


def test_rewards_are_calculated_inside_generate_and_score_with_all_local_completions() -> None:
    body = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "self._calculate_rewards(inputs, prompts, completions, completion_ids_list)" in body
    assert '"advantages": advantages,' in body
    assert "advantages = advantages[process_slice]" in body  # this rank's rows, in their order


def test_completions_are_shuffled_only_after_their_rows_were_kept() -> None:
    body = inspect.getsource(GRPOTrainer._prepare_inputs)
    assert body.index("_generate_and_score_completions") < body.index("shuffle_sequence_dict")


def test_a_row_of_none_is_left_out_of_its_group_and_gets_no_advantage() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(GRPOTrainer._generate_and_score_completions)))
    source = ast.unparse(tree)
    assert "rewards[unscorable_mask] = torch.nan" in source
    assert "torch.nan_to_num(advantages, nan=0.0)" in source


def test_the_attributes_that_say_how_advantages_are_scaled_exist() -> None:
    body = inspect.getsource(GRPOTrainer.__init__)
    assert "self.scale_rewards = args.scale_rewards" in body
    assert "self.multi_objective_aggregation = args.multi_objective_aggregation" in body


def test_trl_awaits_a_remote_reward() -> None:
    assert is_async_callable(RemoteReward("a", num_generations=2))


def test_the_warning_that_prints_a_completion_is_still_trls_and_is_filtered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = inspect.getsource(GRPOTrainer._calculate_rewards)
    assert f'f"{quiet.UNSCORED} for the following kwargs' in source
    PartialState()  # TRL's logger asks it for the rank, which it puts before the text
    quiet.after_imports()
    logger = trl_module.logger
    logger.warning(f"{quiet.UNSCORED} for the following kwargs:\n{{'completion': 'private'}}")
    logger.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["[RANK 0] something else"]
