#!/bin/sh
exec /usr/local/bin/node /opt/caisson/run.cjs /opt/caisson/harness/node_modules/@agentclientprotocol/codex-acp/dist/index.cjs "$@"
