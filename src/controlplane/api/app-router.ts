import { adminRouter } from './routers/admin.ts';
import { agentsRouter } from './routers/agents.ts';
import { auditRouter } from './routers/audit.ts';
import { changesRouter } from './routers/changes.ts';
import { conversationsRouter } from './routers/conversations.ts';
import { egressRouter } from './routers/egress.ts';
import { eventsRouter } from './routers/events.ts';
import { filesRouter } from './routers/files.ts';
import { keysRouter } from './routers/keys.ts';
import { permissionsRouter } from './routers/permissions.ts';
import { processesRouter } from './routers/processes.ts';
import { portsRouter } from './routers/ports.ts';
import { previewsRouter } from './routers/previews.ts';
import { quotasRouter } from './routers/quotas.ts';
import { runsRouter } from './routers/runs.ts';
import { secretsRouter } from './routers/secrets.ts';
import { sessionsRouter } from './routers/sessions.ts';
import { systemRouter } from './routers/system.ts';
import { terminalsRouter } from './routers/terminals.ts';
import { usersRouter } from './routers/users.ts';
import { usageRouter } from './routers/usage.ts';
import { router } from './trpc.ts';

/** The whole API. Clients import its type only. */
export const appRouter = router({
  agents: agentsRouter,
  conversations: conversationsRouter,
  runs: runsRouter,
  events: eventsRouter,
  changes: changesRouter,
  files: filesRouter,
  permissions: permissionsRouter,
  processes: processesRouter,
  terminals: terminalsRouter,
  ports: portsRouter,
  previews: previewsRouter,
  egress: egressRouter,
  secrets: secretsRouter,
  users: usersRouter,
  sessions: sessionsRouter,
  keys: keysRouter,
  quotas: quotasRouter,
  usage: usageRouter,
  audit: auditRouter,
  system: systemRouter,
  admin: adminRouter,
});

export type AppRouter = typeof appRouter;
