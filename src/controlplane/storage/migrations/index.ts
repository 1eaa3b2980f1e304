import type { Migration } from 'kysely/migration';
import { up as initial } from './0001-initial.ts';
import { up as permissionsByRun } from './0002-permissions-by-run.ts';
import { up as previews } from './0003-previews.ts';
import { up as quotas } from './0004-quotas.ts';
import { up as modelUsage } from './0005-model-usage.ts';
import { up as egress } from './0006-egress.ts';
import { up as people } from './0007-people.ts';
import { up as audit } from './0008-audit.ts';
import { up as login } from './0009-login.ts';
import { up as secrets } from './0010-secrets.ts';
import { up as disks } from './0011-disks.ts';
import { up as openConnections } from './0012-open-connections.ts';
import { up as auditClock } from './0013-audit-clock.ts';
import { up as reservationsByAccount } from './0014-reservations-by-account.ts';
import { up as eventBytes } from './0015-event-bytes.ts';
import { up as saidBytes } from './0016-said-bytes.ts';

/** Every migration by its name, in the order in which they run. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': { up: initial },
  '0002-permissions-by-run': { up: permissionsByRun },
  '0003-previews': { up: previews },
  '0004-quotas': { up: quotas },
  '0005-model-usage': { up: modelUsage },
  '0006-egress': { up: egress },
  '0007-people': { up: people },
  '0008-audit': { up: audit },
  '0009-login': { up: login },
  '0010-secrets': { up: secrets },
  '0011-disks': { up: disks },
  '0012-open-connections': { up: openConnections },
  '0013-audit-clock': { up: auditClock },
  '0014-reservations-by-account': { up: reservationsByAccount },
  '0015-event-bytes': { up: eventBytes },
  '0016-said-bytes': { up: saidBytes },
};
