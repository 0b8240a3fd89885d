# The api: sockets, order, text, people. It holds no engine and no worker code.
# docker-compose.yml says how it is started and probed.
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY pyproject.toml constraints.txt deploy/dependencies.py ./
ARG EXTRAS=""
RUN python dependencies.py pyproject.toml $EXTRAS > needed.txt && pip install -c constraints.txt -r needed.txt

COPY celeryconfig.py ./
COPY contract contract
COPY api api
COPY supabase supabase
COPY frontend frontend
RUN python -m compileall -q .

RUN useradd --system --uid 10001 --home-dir /data cueline && install -d -o cueline -g cueline -m 0700 /data
USER cueline
ENV HOME=/data CUELINE_DATA_DIR=/data
VOLUME /data
EXPOSE 8000
