"""What `PolicyTrainer` and `StepWatch` rely on in TRL and transformers: a failure here says which part of it moved."""

import ast
import inspect
import textwrap
from collections.abc import Callable

import pytest
from accelerate import PartialState
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import GRPOTrainer
from trl.trainer import grpo_trainer as trl_module
from trl.trainer.utils import is_async_callable

from grpo_trainer import quiet
from grpo_trainer.trainer import PolicyTrainer
from guerdon.trl import RemoteReward


def tree_of(method: Callable[..., object]) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(method)))


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


def test_an_epoch_is_a_call_by_names_after_which_the_loop_asks_whether_to_stop() -> None:
    calls = [node for node in ast.walk(tree_of(Trainer._inner_training_loop)) if isinstance(node, ast.Call)]
    [call] = [call for call in calls if ast.unparse(call.func) == "self._run_epoch"]
    assert not call.args
    assert {keyword.arg for keyword in call.keywords} == set(parameters(Trainer._run_epoch)) - {"self"}
    behind = ast.unparse(tree_of(Trainer._inner_training_loop)).partition("self._run_epoch(")[2]
    assert "if self.control.should_training_stop:" in behind


def test_a_checkpoint_is_written_where_the_imputation_is_and_ends_with_the_trainers_state() -> None:
    body = inspect.getsource(Trainer._save_checkpoint)
    assert 'checkpoint_folder = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"' in body
    assert PREFIX_CHECKPOINT_DIR == "checkpoint"
    assert parameters(GRPOTrainer._get_output_dir) == ["self", "trial"]
    assert "run_dir = self._get_output_dir(trial=trial)" in body
    assert body.index("_save_rng_state(output_dir)") < body.index("TRAINER_STATE_NAME")


def test_what_is_added_to_trls_metrics_is_logged_with_them() -> None:
    assert 'self._metrics = {"train": defaultdict(list)' in inspect.getsource(GRPOTrainer.__init__)
    assert "self._metrics[mode].items()" in inspect.getsource(GRPOTrainer.log)


def test_no_more_than_four_methods_of_trl_are_overridden() -> None:
    ours = {name for name, member in vars(PolicyTrainer).items() if inspect.isfunction(member)}
    assert {name for name in ours if hasattr(GRPOTrainer, name)} == {
        "__init__",
        "_calculate_rewards",
        "_generate_and_score_completions",
        "_run_epoch",
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
    source = ast.unparse(tree_of(GRPOTrainer._generate_and_score_completions))
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
