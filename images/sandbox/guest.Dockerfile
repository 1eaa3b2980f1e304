# The guest on top of the sandbox's base, so that a new guest is a small upload. Built by scripts/sandbox-image.ts.
ARG SANDBOX_BASE
FROM ${SANDBOX_BASE}

ARG GUEST_VERSION
ENV CAISSON_GUEST_VERSION=${GUEST_VERSION}
LABEL dev.caisson.guest-version=${GUEST_VERSION}
COPY layers/guest /

ENTRYPOINT ["/usr/local/bin/node", "/opt/caisson/guest.mjs"]
