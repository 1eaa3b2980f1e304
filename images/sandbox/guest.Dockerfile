# The guest on top of the sandbox's base, so that a new guest is a small upload. Built by scripts/sandbox-image.ts.
ARG SANDBOX_BASE
FROM ${SANDBOX_BASE}

COPY layers/guest /

# About 25 ms less at every start of a sandbox. The guest has a moment to load everything, and is then told to end.
USER 0:0
RUN CAISSON_AGENT_ID=none sh /opt/caisson/fill-cache.sh /opt/caisson/guest.mjs \
    node --min-semi-space-size=16 --require /opt/caisson/compile-cache.cjs --import 'data:text/javascript,setTimeout(() => process.exit(), 1000)' \
    /opt/caisson/guest.mjs >/dev/null
USER 1000:1000

ARG GUEST_VERSION
LABEL dev.caisson.guest-version=${GUEST_VERSION}

# With room for all that it makes while it loads, no garbage is collected meanwhile: about 10 ms less. The code cache above is only
# taken by a Node with the same options.
ENTRYPOINT ["/usr/local/bin/node", "--min-semi-space-size=16", "--require", "/opt/caisson/compile-cache.cjs", "/opt/caisson/guest.mjs"]
