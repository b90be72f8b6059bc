"""A conversation and its reply as the text that a scoring model reads."""

import re
from typing import Any

from reward_server.rewards import Item


def text_pair(item: Item) -> tuple[str, str]:
    """Return the conversation and the reply; each message of a chat stands behind who said it."""
    if item.prompt_turns is None:
        return item.prompt, item.completion
    turns = [(str(turn.get("role", "")).capitalize(), turn.get("content") or "") for turn in item.prompt_turns]
    return "\n".join(f"{role}: {content}" for role, content in turns), item.completion


class ChatTemplate:
    """A tokenizer's chat template, which writes its own special tokens. Rendering needs no lock.

    Raises:
        ValueError: the tokenizer has none.
    """

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.chat_template is None:
            raise ValueError(
                'the tokenizer has no chat template; text = "pair" reads prompt and completion as two texts'
            )
        self._tokenizer = tokenizer
        template = str(tokenizer.get_chat_template())
        added = tokenizer.added_tokens_decoder.values()
        tokens = {token.content for token in added if token.special or token.content in template}
        tokens = {token for token in {*tokens, *tokenizer.all_special_tokens} if token.strip()}
        longest_first = sorted(tokens, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def render(self, item: Item) -> str:
        """Return the whole conversation as the model was trained to read it.

        The text of a control token in a message becomes a space: a completion cannot end its own turn.

        Raises:
            jinja2.TemplateError: the template refuses the order of the roles.
        """
        turns = [turn | {"content": self._control.sub(" ", turn.get("content") or "")} for turn in item.chat()]
        text: str = self._tokenizer.apply_chat_template(turns, tokenize=False)
        return text
