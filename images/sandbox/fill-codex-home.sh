#!/bin/sh
# Runs when the image is built, as the agent's user: lets Codex set its home up, with its databases and skills, so that it is
# there when a new agent starts. Nothing stays that tells installations apart or belongs to this one start.
set -eu
node /opt/caisson/start-adapter.mjs
cd "$CODEX_HOME"
rm -rf installation_id logs_*.sqlite* log tmp .tmp
# Into one file each: what is copied to every new home is then a tenth of the size.
node --input-type=module --eval '
  import { globSync } from "node:fs";
  import { DatabaseSync } from "node:sqlite";
  for (const file of globSync("*.sqlite")) {
    const database = new DatabaseSync(file);
    database.exec("pragma wal_checkpoint(truncate)");
    database.close();
  }'
test -z "$(find . -name '*-wal')"
