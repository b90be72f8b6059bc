"""How a chat becomes text: by a Jinja chat template, up to where the answer begins."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from reward_server.rewards import Turns

PLAIN = "plain"
"""The template that ships: each turn on a line of its own behind its role, for models that never saw a template."""
PLAIN_TEMPLATE = (files("reward_server.rewards.models") / "chat_templates/plain.jinja").read_text(encoding="utf-8")
NEXT_TURN = "\nUser:"
"""Where a model that writes on in the plain layout has finished its own turn."""

# Models that can think aloud first are asked not to: the answer is to come at once.
OPTIONS: dict[str, Any] = {"add_generation_prompt": True, "enable_thinking": False}


def laid_out(turns: Turns, template: str) -> str:
    """Return a chat as text, for whoever has no tokenizer; variables that a tokenizer sets are empty."""
    from transformers.utils.chat_template_utils import render_jinja_template

    def render(some: Turns) -> str:
        texts: Any = render_jinja_template(conversations=[some], chat_template=template, **OPTIONS)
        return str(texts[0][0])

    return with_or_without_system(render, turns)


def with_or_without_system(render: Callable[[Turns], str], turns: Turns) -> str:
    """Return what `render` makes of a chat; where its template knows no system turn, the next turn opens with it."""
    from jinja2 import TemplateError

    try:
        return render(turns)
    except TemplateError:
        if turns[0]["role"] != "system":
            raise
        system, first, *others = turns
        return render([first | {"content": f"{system['content']}\n\n{first['content']}"}, *others])
