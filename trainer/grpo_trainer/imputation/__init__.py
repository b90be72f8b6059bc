"""Reward imputation: score a random part of each group with an expensive reward, and predict the rest.

The policy's own hidden states predict the reward (`hidden_states`, `ridge`); which members are scored is drawn at
random (`subset`), so that the prediction can be corrected without bias (`doubly_robust`); how well it ranks a group is
measured on scores that it has not seen, and decides whether it is trusted (`rank_agreement`, `gate`). `imputer` puts
them together, `in_training` joins them to the trainer, `step_record` says in the ledger what came of it.
"""
