# Three images from one file: docker build --target reward -t guerdon-reward .
#                             docker build --target judge -t guerdon-judge .
#                             docker build --target trainer -t guerdon-trainer .

FROM python:3.11-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# One user in all images, with a number that a volume's owner can be set to. Its cache is the only place it fills.
RUN useradd --system --uid 10001 --create-home --home-dir /home/guerdon guerdon \
    && install -d -o guerdon -g guerdon /cache /ledger /runs
ENV HOME=/home/guerdon XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface PATH=/opt/guerdon/bin:$PATH
WORKDIR /home/guerdon

# Dependencies come before the source, so that an edit of ours does not install torch again.
FROM base AS build
# For a mirror, or for an index that has torch's CPU build: docker build --build-arg PIP_EXTRA_INDEX_URL=…
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/src/constraints.txt
# Prints what the extras named after it need.
ENV NEEDS="import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *(need for name in sys.argv[1:] for need in p['optional-dependencies'][name]), sep='\n')"
WORKDIR /src
COPY pyproject.toml constraints.txt ./
RUN python -m venv /opt/guerdon

FROM build AS build-reward
RUN python -c "$NEEDS" reward > needs.txt && /opt/guerdon/bin/pip install -r needs.txt
COPY . .
RUN /opt/guerdon/bin/pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/guerdon/bin/pip install --no-deps /wheels/*.whl

FROM build AS build-judge
RUN python -c "$NEEDS" judge > needs.txt && /opt/guerdon/bin/pip install -r needs.txt
COPY . .
RUN /opt/guerdon/bin/pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/guerdon/bin/pip install --no-deps /wheels/*.whl

FROM build AS build-trainer
RUN python -c "$NEEDS" trainer evaluation > needs.txt && /opt/guerdon/bin/pip install -r needs.txt
COPY . .
RUN /opt/guerdon/bin/pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/guerdon/bin/pip install --no-deps /wheels/*.whl

# The API by default; the worker is the same image with the command python -m reward_server.worker.
FROM base AS reward
COPY --from=build-reward /opt/guerdon /opt/guerdon
USER 10001
EXPOSE 8000
# To be reached from outside its container the API needs GUERDON_REWARD_HOST=0.0.0.0, and with it a token.
ENV GUERDON_REWARD_PORT=8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['GUERDON_REWARD_PORT'] + '/healthz', timeout=4)"]
CMD ["python", "-m", "reward_server"]

# No model and no torch in it: it asks those of others.
FROM base AS judge
COPY --from=build-judge /opt/guerdon /opt/guerdon
USER 10001
EXPOSE 8001
# To be reached from outside its container it needs GUERDON_JUDGE_HOST=0.0.0.0, and with it a token.
ENV GUERDON_JUDGE_PORT=8001 GUERDON_JUDGE_LEDGER=/ledger/judge-ledger.sqlite3
VOLUME /ledger
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['GUERDON_JUDGE_PORT'] + '/healthz', timeout=4)"]
CMD ["python", "-m", "judge_server"]

# docker run … guerdon-trainer RUN.toml --reward-url …
FROM base AS trainer
COPY --from=build-trainer /opt/guerdon /opt/guerdon
USER 10001
WORKDIR /runs
# A run has no port to ask and may be at one step for long: healthy is a process that is not suspended.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import sys; sys.exit(open('/proc/1/stat').read().rsplit(')')[-1].split()[0] in 'T')"]
ENTRYPOINT ["guerdon", "train"]
CMD ["--help"]
