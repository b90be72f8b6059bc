"""`guerdon train`: GRPO with TRL and PEFT against served rewards, one TOML file per run."""
