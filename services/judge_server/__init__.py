"""LLM-as-judge over any OpenAI-compatible endpoint: verdicts with typed failures, a ledger, a hard budget."""
