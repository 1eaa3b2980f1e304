#!/bin/sh
# Codex reads the certificate authorities twice in every turn, which takes it 8 to 12 ms, and has no use for them: its model is on
# loopback, without TLS, and it has no way to other hosts. So it gets one, whose key was never kept. Its commands have those of the
# sandbox by its configuration.
export SSL_CERT_FILE=/etc/codex/no-authority.crt
exec /usr/local/bin/node /opt/caisson/run.cjs /opt/caisson/harness/node_modules/@agentclientprotocol/codex-acp/dist/index.cjs "$@"
