"""What a run leaves on disk: ledger, manifest, checkpoints and a policy that was read back."""
