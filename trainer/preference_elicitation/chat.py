"""`guerdon chat MODEL`: talk to a model through its chat template; it remembers what was said."""

import argparse
import sys
from contextlib import suppress

from long_work.real_number import from_zero
from long_work.whole_number import positive
from preference_elicitation.dialogue import INSTRUCTION, Messages
from preference_elicitation.elicitation_error import ElicitationError
from preference_elicitation.speaker import Speaker

HELP = "/again: another answer; /back: take the last exchange back; /new: forget all; /show: what was said; /bye: end"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon chat",
        description="Talk to a model through its chat template.",
        epilog=f"In the conversation: {HELP}.",
    )
    options.add_argument(
        "model", metavar="MODEL", help="a directory, a hub id, package:NAME, or endpoint:URL#MODEL[,key_env=VARIABLE]"
    )
    options.add_argument("--hub-revision", metavar="COMMIT", help="of a hub id, which needs one")
    options.add_argument("--system", help="what the model is told first; `elicitation` is the policy's instruction")
    options.add_argument("--temperature", type=from_zero, default=0.7, help="0 is greedy (default 0.7)")
    options.add_argument("--max-tokens", type=positive, default=256, help="of an answer (default 256)")
    options.add_argument("--seed", type=int, default=0)
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    speaker = Speaker(options.model, options.hub_revision, options.temperature, options.max_tokens)
    system = INSTRUCTION if options.system == "elicitation" else options.system
    try:
        speaker.load()
        _lines_can_be_edited()
        if sys.stdin.isatty():
            print(f"{HELP}.", file=sys.stderr)
        Chat(speaker, system, options.seed).run()
    except ElicitationError as error:
        print(f"guerdon chat: {error}", file=sys.stderr)
        return 2
    except (EOFError, KeyboardInterrupt):
        print()
    return 0


class Chat:
    """One conversation: its messages, and the seed of the next answer."""

    def __init__(self, speaker: Speaker, system: str | None, seed: int) -> None:
        self._speaker, self._seed = speaker, seed
        self._opening: Messages = [{"role": "system", "content": system}] if system else []
        self.messages: Messages = [*self._opening]

    def run(self) -> None:
        """Answer line after line.

        Raises:
            EOFError: there are no more lines.
            ElicitationError: the model cannot answer.
        """
        while (line := input("you> " if sys.stdin.isatty() else "").strip()) != "/bye":
            if line:
                print(self.reply(line), flush=True)

    def reply(self, line: str) -> str:
        """Do what a command says, or return the model's answer; raises as `Speaker.say` does."""
        match line:
            case "/new":
                self.messages = [*self._opening]
                return "(forgotten)"
            case "/back" | "/again":
                said = self._taken_back()
                return "(taken back)" if line == "/back" or said is None else self._answer(said)
            case "/show":
                return "\n".join(f"{turn['role']}: {turn['content']}" for turn in self.messages) or "(nothing)"
            case _ if line.startswith("/"):
                return f"(there is no {line}. {HELP})"
        return self._answer(line)

    def _answer(self, line: str) -> str:
        self.messages.append({"role": "user", "content": line})
        try:
            text = self._speaker.say_whole(self.messages, self._seed)
        except ElicitationError:
            self.messages.pop()
            raise
        self._seed += 1
        self.messages.append({"role": "assistant", "content": text})
        return text

    def _taken_back(self) -> str | None:
        """Forget the last exchange; return what was said in it."""
        if len(self.messages) < len(self._opening) + 2:
            return None
        self.messages.pop()
        return self.messages.pop()["content"]


def _lines_can_be_edited() -> None:
    with suppress(ImportError):
        import readline  # noqa: F401 - by being imported
