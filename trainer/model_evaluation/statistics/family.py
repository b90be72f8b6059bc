"""Which family a model's name says it belongs to: a judge prefers the text of its own kin."""

import re
from collections.abc import Iterable

FAMILIES = {
    "OpenAI": r"openai|chatgpt|gpt(?!-?neo|-?j)|o[134](?![0-9a-z])|davinci|distilgpt",
    "Claude": r"claude|anthropic",
    "Gemini and Gemma": r"(?:code|pali|med|shield|data|embedding)?gemma|gemini",
    "Llama": r"(?:code|tiny|open|meta)?llama(?![.]?cpp)|vicuna|alpaca",
    "Qwen": r"qwen|qwq|qvq",
    "Mistral": r"mistral|mixtral|ministral|magistral|codestral|devstral|pixtral",
    "DeepSeek": r"deepseek",
    "Phi": r"phi(?=[-_ ]?[0-9]|$)",
    "Grok": r"grok",
    "Command": r"command(?=-?(?:r|a|light|nightly))|cohere|aya",
    "GLM": r"(?:chat)?glm",
    "Kimi": r"kimi|moonshot",
    "Granite": r"granite",
    "SmolLM": r"smollm",
    "OLMo": r"olmo|tulu",
    "Falcon": r"falcon",
    "Yi": r"yi(?=-)",
    "Nova": r"nova(?=-(?:micro|lite|pro|premier))",
}
PATTERNS = {name: re.compile(rf"(?<![a-z])(?:{words})", re.IGNORECASE) for name, words in FAMILIES.items()}


def families(model: str) -> set[str]:
    """Return the families a name mentions: none if unknown, two for DeepSeek-R1-Distill-Qwen."""
    return {name for name, pattern in PATTERNS.items() if pattern.search(model)}


def same_family(judge: str, contestants: Iterable[str]) -> str | None:
    """Return a warning if the judge shares a family, or its name, with a contestant."""
    own = families(judge)
    kin = {model: ", ".join(sorted(own & families(model))) for model in sorted(set(contestants))}
    related = [f"{model} ({shared or 'the same name'})" for model, shared in kin.items() if shared or model == judge]
    if not related:
        return None
    return f"the judge {judge} is kin to {' and '.join(related)}: judges prefer answers of their own kind"
