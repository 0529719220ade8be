# docs/docker.md says how to build and run it.
FROM python:3.12-slim

# Where torch comes from; else pip's own index, whose build for Linux brings CUDA.
ARG TORCH_INDEX=

WORKDIR /src
COPY constraints.txt ./
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -c constraints.txt torch
COPY . .
RUN pip install --no-cache-dir -c constraints.txt . && rm -rf /src/*

RUN useradd --create-home --uid 1000 nuclick
USER nuclick
WORKDIR /slides
ENTRYPOINT ["nuclick-wsi"]
CMD ["--help"]
