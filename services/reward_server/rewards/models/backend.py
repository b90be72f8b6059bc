"""Which language model a kind asks: one in this process, or one behind an OpenAI-compatible endpoint."""

from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator, model_validator

from reward_server.rewards import Kind, Turns
from reward_server.rewards.models.endpoint import Endpoint
from reward_server.rewards.models.language_model import LanguageModel, language_model
from reward_server.rewards.models.layout import PLAIN
from reward_server.rewards.models.prefix_tree import Tokens
from reward_server.rewards.models.source import Dtype, revision


class Backend(Kind):
    """The settings that name a language model, and the model once it is loaded."""

    runs: ClassVar[Literal["inline", "worker"]] = "worker"

    model: str | None = None
    """A model to run in this process: a directory, a hub id, or package:NAME. Either this or base_url."""
    hub_revision: str | None = None
    """Commit of a hub id. Required for one: without it two workers could serve different weights."""
    dtype: Dtype = "auto"
    """What to compute in; auto is bfloat16 where the hardware computes in it, else float32. What else is in its batch
    moves a preference by less than 1e-6 in float32, and by up to about .02 in bfloat16."""
    chat_template: str | None = None
    """"plain" for the layout that ships (a role and its words on each line), or a Jinja template's own text. None: the
    model's."""
    batch_tokens: int = Field(default=4096, ge=1)
    """Padded tokens that the model in this process computes at once."""
    base_url: str | None = None
    """An OpenAI-compatible endpoint up to its version, e.g. http://localhost:8000/v1. Its weights are not pinned: give
    the reward another name, or `cache = false`, when they change."""
    model_name: str | None = None
    """What the endpoint calls the model."""
    api_key_env: str | None = None
    """The environment variable of the worker that holds the endpoint's key; None when it needs none."""
    timeout_s: float = Field(default=60.0, gt=0)
    """How long one attempt at the endpoint may take."""
    max_retries: int = Field(default=2, ge=0, le=10)
    """Further attempts after a refused connection, a timeout, or the statuses 408, 409, 429 and 5xx."""
    max_concurrency: int = Field(default=8, ge=1, le=256)
    """Calls to the endpoint at a time."""

    _endpoint: Endpoint | None = PrivateAttr(default=None)
    _language_model: LanguageModel | None = PrivateAttr(default=None)

    @field_validator("chat_template")
    @classmethod
    def _is_a_template(cls, value: str | None) -> str | None:
        if value is not None and value != PLAIN and "{{" not in value:
            raise ValueError(f'a chat template is "{PLAIN}" or the text of a Jinja template, not {value[:80]!r}')
        return value

    @field_validator("base_url")
    @classmethod
    def _holds_no_secret(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or "@" in urlsplit(value).netloc):
            raise ValueError("base_url is http:// or https:// without a user or password; a key goes into api_key_env")
        return value

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.model is None) == (self.base_url is None):
            raise ValueError("set either model (in this process) or base_url (an endpoint)")
        if self.base_url is not None and self.model_name is None:
            raise ValueError("set model_name: what the endpoint calls the model")
        return self

    def load(self) -> None:
        if self.model is not None:
            self._language_model = language_model(self.model, self.hub_revision, self.dtype)
            self._language_model.template(self.chat_template)  # refused now rather than with the first item
            return
        assert self.base_url is not None
        assert self.model_name is not None
        self._endpoint = Endpoint(
            self.base_url, self.model_name, self.api_key_env, self.timeout_s, self.max_retries, self.max_concurrency
        )

    def revision(self) -> str:
        return "" if self.model is None else revision(self.model, self.hub_revision)

    @property
    def remote(self) -> Endpoint:
        assert self._endpoint is not None, "load() comes first, and base_url is set"
        return self._endpoint

    @property
    def local(self) -> LanguageModel:
        assert self._language_model is not None, "load() comes first, and model is set"
        return self._language_model

    def encode(self, turns: Turns, written: int = 0) -> Tokens:
        """Return the tokens of a chat up to where the answer begins, for a model in this process.

        Raises:
            ValueError: the model has no room for them and for `written` more.
        """
        ids = self.local.encode(turns, self.chat_template)
        if len(ids) + written > self.local.context:
            room = f"the model has room for {self.local.context}"
            raise ValueError(
                f"the text has {len(ids)} tokens{f' and {written} are to be written' * bool(written)}; {room}"
            )
        return ids
