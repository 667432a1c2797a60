# One image for every process: `voicekeep api`, `worker`, `migrate`, `schedules apply`.
# Nothing of it is written to at run time but /data, /work and /tmp, so the root may be read-only.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# --- The environment: locked packages, then the project's own wheel ----------------------------
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Apart from the sources, so that a change of ours does not install the world again.
COPY deploy/requirements.lock deploy/build.lock deploy/
RUN python -m venv --without-pip /opt/voicekeep \
 && python -m pip --python /opt/voicekeep/bin/python install \
      --require-hashes -r deploy/requirements.lock \
 && python -m pip install --require-hashes -r deploy/build.lock

COPY pyproject.toml LICENSE worker.py engines.py cli.py ./
COPY contracts contracts
COPY activities activities
COPY workflows workflows
COPY providers providers
COPY store store
COPY runtime runtime
COPY api api
COPY commands commands
RUN python -m pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
 && python -m pip --python /opt/voicekeep/bin/python install --no-deps --no-index /wheels/*.whl \
 && /opt/voicekeep/bin/python -m compileall -q /opt/voicekeep

# --- What runs ---------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ffmpeg \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin voicekeep \
 && install --directory --owner voicekeep --group voicekeep --mode 0700 /data /work
COPY --from=build /opt/voicekeep /opt/voicekeep

ENV PATH=/opt/voicekeep/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data
USER 10001:10001
WORKDIR /data
EXPOSE 8000

# Of the API; the other processes bring their own check, or none when they end by themselves.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health/ready\", timeout=3)"]
ENTRYPOINT ["voicekeep"]
CMD ["api"]
