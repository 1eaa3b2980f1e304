#!/bin/sh
# fill-code-caches.sh <command…>: runs the guest, which the command starts, for one turn as the agent's user, and keeps what V8 has
# compiled of the guest and of the adapter beside them, for everyone to read and nobody to write. What such a turn writes
# is in memory or removed, so that it does not stay in the image.
set -eu
adapter=/opt/caisson/harness/node_modules/@agentclientprotocol/codex-acp/dist/index.cjs
install -d -o 1000 -g 1000 /dev/shm/code /dev/shm/home /dev/shm/codex /dev/shm/run
HOME=/dev/shm/home CODEX_HOME=/dev/shm/codex CAISSON_RUN_DIR=/dev/shm/run CAISSON_WRITE_CODE=/dev/shm/code \
  setpriv --reuid 1000 --regid 1000 --clear-groups node /opt/caisson/first-turn.cjs "$@" 2>/dev/shm/log || {
  cat /dev/shm/log >&2
  exit 1
}
install -m 644 /dev/shm/code/guest.cjs.code /opt/caisson/guest.cjs.code
install -m 644 /dev/shm/code/index.cjs.code "$adapter.code"
rm /opt/caisson/first-turn.cjs
rm -rf /home/agent/.caisson
