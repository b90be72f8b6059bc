"""How large a small model is, and how long it is trained."""

from dataclasses import dataclass

from long_work.command_error import CommandError


@dataclass(frozen=True)
class Shape:
    """What the command's options of the same names say.

    Raises:
        CommandError: the width cannot be shared among the attention heads, or no generator takes the seed.
    """

    hidden: int
    layers: int
    heads: int
    context: int
    steps: int
    batch: int
    learning_rate: float
    initial_std: float
    seed: int

    def __post_init__(self) -> None:
        unit = 2 * self.heads  # rotary positions turn pairs of a head's numbers
        if self.hidden % unit:
            fits = -(-self.hidden // unit) * unit
            raise CommandError(f"--hidden {self.hidden} is no multiple of {unit}, twice --heads; {fits} is one")
        if self.seed >= 2**32:
            raise CommandError(f"--seed {self.seed}: seeds are below 2**32")
