# Straja for servers: web, keeper, worker and every other command in one image. docs/deploy.md tells how to
# run it, and `make image-check` what was proved about it.
ARG BASE=docker.io/library/python:3.11-slim

# ---- making it: Python packages by their hashes, then the console with Node.js from a wheel
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /usr/local/lib/straja
COPY requirements.txt requirements-build.txt ./
RUN python3 -m venv .venv \
 && .venv/bin/python -m pip install --require-hashes --no-deps --no-compile -r requirements.txt \
 && .venv/bin/python -m pip uninstall --yes setuptools pip
RUN python3 -m venv /usr/local/lib/build-node \
 && /usr/local/lib/build-node/bin/python -m pip install --require-hashes --no-deps --no-compile -r requirements-build.txt
COPY app/web/package.json app/web/package-lock.json app/web/
RUN cd app/web && PATH=/usr/local/lib/build-node/bin:$PATH npm ci --no-audit --no-fund
COPY app app
RUN cd app/web && PATH=/usr/local/lib/build-node/bin:$PATH npm run build && rm -rf /usr/local/lib/straja/app/web
COPY config.py LICENSE ./
COPY dispatch dispatch
COPY gis gis
COPY devices devices
COPY packs packs
# Bytecode is made here, since the image is not written to later; by hash, so that it is the same each time.
# A few packages carry templates that are no Python: those are passed over.
RUN find . -name __pycache__ -prune -exec rm -rf {} + \
 && .venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash app dispatch gis devices config.py \
 && { .venv/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash .venv/lib || true; } \
 && rm -f requirements.txt requirements-build.txt

# ---- what runs
FROM ${BASE}
RUN groupadd --gid 10001 straja \
 && useradd --uid 10001 --gid straja --no-log-init --no-create-home --home-dir /var/lib/straja \
        --shell /usr/sbin/nologin straja \
 && install -d -o straja -g straja -m 0700 /var/lib/straja
COPY --from=build /usr/local/lib/straja /usr/local/lib/straja
ENV PYTHONPATH=/usr/local/lib/straja \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/var/lib/straja/compiled \
    STRAJA_VAR=/var/lib/straja \
    STRAJA_HOST=0.0.0.0 \
    STRAJA_DEMO=0
WORKDIR /usr/local/lib/straja
USER 10001:10001
VOLUME ["/var/lib/straja"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 \
    CMD ["/usr/local/lib/straja/.venv/bin/python", "-P", "-m", "app.cli", "ready"]
ENTRYPOINT ["/usr/local/lib/straja/.venv/bin/python", "-P", "-m", "app.cli"]
CMD ["web"]
