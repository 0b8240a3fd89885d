# A speech worker, and Flower, which needs the same Celery app. It holds no api code.
# docker-compose.yml says how it is started and probed.
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY pyproject.toml constraints.txt deploy/dependencies.py ./
# Names of extras of pyproject.toml, for engines that need more than the base.
ARG EXTRAS=""
# Names, with | between, of packages that such an engine wants in another version than the rest has.
ARG UNPINNED=""
RUN python dependencies.py pyproject.toml $EXTRAS > needed.txt && \
    grep -viE "^(${UNPINNED:-none})==" constraints.txt > pinned.txt && pip install -c pinned.txt -r needed.txt

COPY celeryconfig.py ./
COPY contract contract
COPY workers workers
COPY deploy/flowerconfig.py deploy/worker_health.py deploy/
RUN python -m compileall -q .

RUN useradd --system --uid 10001 --home-dir /data cueline && install -d -o cueline -g cueline -m 0700 /data
USER cueline
ENV HOME=/data CUELINE_DATA_DIR=/data
VOLUME /data
