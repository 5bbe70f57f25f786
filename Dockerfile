# The image of kube-registrar: a distroless Python, what requirements/run.txt locks, and the command. No shell, no package
# manager, nothing that builds. docs/install.md has the facts for its users, docs/releasing.md how a release makes it.
#
# Base images stand here by tag, so that a build of today has today's fixes. A release looks up what the tags mean at that
# moment, checks the runtime's signature, and gives both by digest; the image's provenance holds them for good.
ARG BUILD_IMAGE=docker.io/library/python:3.13-slim-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/python3-debian13:nonroot

# Runs on the machine's own architecture for every target: wheels are taken as they are, and bytecode is the same everywhere.
FROM --platform=${BUILDPLATFORM} ${BUILD_IMAGE} AS tree
WORKDIR /project
COPY requirements/uv.txt requirements/build.txt requirements/
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/uv.txt -r requirements/build.txt
COPY . .
ARG TARGETARCH
ARG REVISION=""
RUN /build/bin/python tools/image_tree.py --arch="${TARGETARCH}" --revision="${REVISION}" --to=/tree

# hadolint ignore=DL3006
FROM ${RUNTIME_IMAGE}
COPY --from=tree /tree/ /
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/kube-registrar"]
