# The guest on top of the sandbox's base, so that a new guest is a small upload. Built by scripts/sandbox-image.ts.
ARG SANDBOX_BASE
FROM ${SANDBOX_BASE}

COPY layers/guest /

# About 25 ms less at every start of a sandbox. The guest has a moment to load everything, and is then told to end.
USER 0:0
RUN CAISSON_AGENT_ID=none sh /opt/caisson/fill-cache.sh /opt/caisson/guest.mjs \
    node --require /opt/caisson/compile-cache.cjs --import 'data:text/javascript,setTimeout(() => process.exit(), 1000)' \
    /opt/caisson/guest.mjs >/dev/null
USER 1000:1000

ARG GUEST_VERSION
LABEL dev.caisson.guest-version=${GUEST_VERSION}

ENTRYPOINT ["/usr/local/bin/node", "--require", "/opt/caisson/compile-cache.cjs", "/opt/caisson/guest.mjs"]
