# Not run in CI; a test parses it and checks that its commands, ports and paths exist.
#
#   docker build --tag causerie .
#
# On Linux torch's default wheel is the CUDA build. For the much smaller CPU one pass the address of
# torch's CPU wheels: --build-arg PIP_EXTRA_INDEX_URL=... (README.md, "Two commands").
FROM python:3.11-slim

# g++ compiles hnswlib; without it HNSW runs on FAISS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

ARG TORCH="torch==2.13.0"
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    CAUSERIE_HOME=/var/cache/causerie \
    CAUSERIE_STATE=/var/lib/causerie

# Python code runs from the working directory, as `python -m api` does in a clone.
WORKDIR /app
RUN python -m pip install --upgrade "pip>=25.1" && python -m pip install ${TORCH}
COPY pyproject.toml README.md ./
COPY api api
COPY dialog dialog
COPY index index
COPY llm llm
COPY rag rag
COPY tools tools
RUN python -m pip install --editable ".[cpu,docs,postgres,watch]" \
    && (HNSWLIB_NO_NATIVE=1 python -m pip install "hnswlib>=0.8" || echo "HNSW will run on FAISS")

RUN useradd --system --create-home causerie \
    && mkdir -p /var/cache/causerie /var/lib/causerie \
    && chown causerie /var/cache/causerie /var/lib/causerie
USER causerie
VOLUME ["/var/cache/causerie", "/var/lib/causerie"]

EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
# All addresses of the container, hence only with CAUSERIE_API_KEYS set: it refuses to start without.
CMD ["python", "-m", "api", "serve", "--host", "0.0.0.0", "--port", "8000"]
