"""Every completion's verdict, each found once: what an earlier run found is taken over."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from long_work.progress import Progress
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Draws
from model_evaluation.content_key import content_key
from model_evaluation.journal import Journal
from model_evaluation.prompts import Prompt
from model_evaluation.solving.checkers import Checker
from model_evaluation.solving.verdict import Verdict

FILE = "verdicts.jsonl"

Verdicts = list[list[Verdict]]
"""A row a prompt, with one verdict a completion."""


def checked(checker: Checker, prompts: Sequence[Prompt], draws: Sequence[Draws], out: Path) -> list[Verdicts]:
    """Return one table a model, in the order of `draws`; as many checks run at once as there are cores."""
    journal = Journal(out / FILE)
    wanted = {
        _key(checker, prompt, one): (prompt, one.text)
        for made in draws
        for prompt, row in zip(prompts, made.completions, strict=True)
        for one in row
        if one.text is not None
    }
    missing = journal.missing(wanted)
    threads = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        with Progress("checks", len(wanted), len(wanted) - len(missing)) as stage:
            found = threads.map(lambda asked: checker.check(*asked), missing.values())
            for key, verdict in zip(missing, found, strict=True):
                journal.append([{"key": key, **verdict.model_dump()}])
                stage.advance()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # who interrupts does not wait for what is queued
    return [
        [
            [_taken(journal, checker, prompt, one) for one in row]
            for prompt, row in zip(prompts, made.completions, strict=True)
        ]
        for made in draws
    ]


def _taken(journal: Journal, checker: Checker, prompt: Prompt, one: Completion) -> Verdict:
    if one.text is None:
        return Verdict.unknown(one.status, one.why_missing)
    return journal.read(_key(checker, prompt, one), Verdict)


def _key(checker: Checker, prompt: Prompt, one: Completion) -> str:
    return content_key([checker.identity, prompt.turns, prompt.reference, one.text])
