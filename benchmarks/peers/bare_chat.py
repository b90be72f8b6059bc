"""The same calls by nothing but a client and a semaphore: run it as `bare_chat.py URL CALLS`, the calls a JSON file.

It prints one JSON line: seconds, processor seconds, and the text of every reply.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from openai import AsyncOpenAI


async def main(url: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    slots = asyncio.Semaphore(50)
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        create = client.chat.completions.create  # imported here, before the clock runs

        async def ask(body: dict[str, Any]) -> str | None:
            async with slots:
                completion = await create(**body)
            content: str | None = completion.choices[0].message.content
            return content

        began, began_cpu = time.perf_counter(), time.process_time()
        said = await asyncio.gather(*map(ask, bodies))
        return {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - began_cpu, "said": said}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))))
