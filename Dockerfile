# syntax=docker/dockerfile:1
# The tag names no patch release, so that a rebuild brings Python's and Debian's latest security fixes.
FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# What changes least comes first: the build tool, then the dependencies, each checked against its hash.
COPY requirements-build.lock requirements.lock ./
RUN python -m venv /build \
 && /build/bin/pip install --require-hashes -r requirements-build.lock \
 && python -m venv --without-pip /opt/api-usage-exporter \
 && /build/bin/pip --python /opt/api-usage-exporter install --require-hashes -r requirements.lock

COPY . .
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /opt/api-usage-exporter install --no-deps /wheels/*.whl \
 && install -d -o 10190 -g 10190 /var/lib/api-usage-exporter

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="api-usage-exporter" \
      org.opencontainers.image.description="How much of our API allowance have we used, and will it last? A Prometheus exporter." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /opt/api-usage-exporter /opt/api-usage-exporter
# A named volume that is mounted here takes over its owner.
COPY --from=build --chown=10190:10190 /var/lib/api-usage-exporter /var/lib/api-usage-exporter

ENV PATH=/opt/api-usage-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    API_USAGE_EXPORTER_CONFIG_FILE=/etc/api-usage-exporter/config.yaml \
    API_USAGE_EXPORTER_STORAGE_PATH=/var/lib/api-usage-exporter
USER 10190:10190
EXPOSE 10190
VOLUME /var/lib/api-usage-exporter

# With TLS or a password by --web.config.file, set a health check of your own that knows them.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:10190/-/healthy', timeout=4)"]
ENTRYPOINT ["api-usage-exporter"]
