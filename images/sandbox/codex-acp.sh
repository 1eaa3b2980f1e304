#!/bin/sh
# The adapter with its code cache, which nothing else in the sandbox should inherit by accident.
NODE_COMPILE_CACHE=/opt/caisson/compile-cache exec /usr/local/bin/node \
  /opt/caisson/harness/node_modules/@agentclientprotocol/codex-acp/dist/index.js "$@"
