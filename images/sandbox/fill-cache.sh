#!/bin/sh
# fill-cache.sh <program> <command…>: runs the command, which starts and ends the program, as the agent's user, and keeps the code
# cache that Node writes beside the program, for everyone to read and nobody to write. HOME and all else that such a start
# writes is in memory, so that it does not stay in the image.
set -eu
program=$1
shift
install -d -o 1000 -g 1000 "$program.cache" /dev/shm/home /dev/shm/codex /dev/shm/run
HOME=/dev/shm/home CODEX_HOME=/dev/shm/codex CAISSON_RUN_DIR=/dev/shm/run \
  setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
test -n "$(find "$program.cache" -type f)"
chown -R 0:0 "$program.cache"
chmod -R u=rwX,go=rX "$program.cache"
