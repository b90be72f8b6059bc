"""OpenJudge's pairwise evaluator: run by its own Python as `openjudge_pairwise.py URL PAIRS`, the pairs a JSON file.

Template, grader and runner are those of its cookbook (cookbooks/pairwise_evaluation), the progress bar left out. It
prints one JSON line: seconds, processor seconds, and every pair's score in both orders (1: the first answer is
better, 0: the second); null where there is none.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from loguru import logger
from openjudge.graders.llm_grader import GraderMode, LLMGrader
from openjudge.models.openai_chat_model import OpenAIChatModel
from openjudge.models.schema.oai.message import ChatMessage
from openjudge.models.schema.prompt_template import PromptTemplate
from openjudge.runner.grading_runner import GraderConfig, GradingRunner

SYSTEM = (
    "You are an expert evaluator. Compare two AI responses and determine which one is better.\n"
    "Consider factors like accuracy, completeness, clarity, and relevance to the task.\n"
    "Output as JSON with 'score' (1.0 if Response A is better, 0.0 if Response B is better) "
    "and 'reason' (explanation) fields."
)
USER = (
    "Task: {instruction}\n\n"
    "Response A:\n{response_a}\n\n"
    "Response B:\n{response_b}\n\n"
    "Which response better completes the task? "
    'Output: {{"score": 1.0 or 0.0, "reason": "..."}}'
)
FIELDS = ("instruction", "response_a", "response_b")


def both_orders(pairs: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return what is to be graded, the two orders of a pair one after the other."""
    return [
        {"evaluation_data": dict(zip(FIELDS, (pair["prompt"], *shown), strict=True))}
        for pair in pairs
        for shown in ((pair["answer_a"], pair["answer_b"]), (pair["answer_b"], pair["answer_a"]))
    ]


def runner(url: str) -> GradingRunner:
    model = OpenAIChatModel(model="openjudge", base_url=url, api_key="none", temperature=0.1)
    assert model.client.chat.completions  # imported here, before the clock runs
    messages = [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=USER)]
    grader = LLMGrader(
        name="pairwise_comparator",
        mode=GraderMode.POINTWISE,
        model=model,
        template=PromptTemplate(messages=messages),
    )
    config = GraderConfig(grader=grader, mapper={name: f"evaluation_data.{name}" for name in FIELDS})
    return GradingRunner(grader_configs={"pairwise": config}, max_concurrency=50, show_progress=False)


async def main(url: str, pairs: list[dict[str, str]]) -> dict[str, Any]:
    dataset, running = both_orders(pairs), runner(url)
    began, began_cpu = time.perf_counter(), time.process_time()
    results = (await running.arun(dataset))["pairwise"]
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    return {"seconds": seconds, "cpu_s": cpu_s, "scores": [getattr(result, "score", None) for result in results]}


if __name__ == "__main__":
    logger.remove()
    print(json.dumps(asyncio.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))))
