#!/bin/sh
exec /usr/local/bin/node --require /opt/caisson/compile-cache.cjs \
  /opt/caisson/harness/node_modules/@agentclientprotocol/codex-acp/dist/index.js "$@"
