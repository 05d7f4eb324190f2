# One image for every part; what runs is the command (see compose.yaml). CPU by default, CUDA with --build-arg DEVICE=cuda.
FROM python:3.11-slim-bookworm AS build
ARG DEVICE=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/vitrine
WORKDIR /build
COPY requirements.txt requirements-celery.txt ./
# torch first, from the index of its CPU builds: the build on PyPI is the CUDA one and weighs gigabytes more.
RUN if [ "$DEVICE" = cpu ]; then \
      /opt/vitrine/bin/pip install "$(grep '^torch==' requirements.txt)" --index-url https://download.pytorch.org/whl/cpu; \
    fi
RUN /opt/vitrine/bin/pip install -r requirements.txt -r requirements-celery.txt "psycopg[binary]==3.3.9"

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 vitrine \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin vitrine \
    && install -d -o 10001 -g 10001 /data /mlflow
COPY --from=build /opt/vitrine /opt/vitrine
WORKDIR /app
COPY app.py gunicorn.conf.py requirements.txt ./
COPY assets assets
COPY callbacks callbacks
COPY dashboard dashboard
COPY layouts layouts
COPY mlflow_runs mlflow_runs
RUN /opt/vitrine/bin/python -m compileall -q app.py callbacks dashboard layouts mlflow_runs
ENV PATH=/opt/vitrine/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VITRINE_DATA_DIR=/data \
    VITRINE_HOST=0.0.0.0
USER 10001:10001
VOLUME ["/data", "/mlflow"]
EXPOSE 8050
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('VITRINE_PORT', '8050') + '/health', timeout=4)"]
CMD ["gunicorn"]
