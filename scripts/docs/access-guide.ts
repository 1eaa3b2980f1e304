import type { AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import { appRouter } from '../../src/controlplane/api/app-router.ts';
import { type Need, needs } from '../../src/controlplane/auth/needs.ts';
import { routeNeeds } from '../../src/controlplane/http/route-needs.ts';
import { withSections } from './made-sections.ts';
import { code, table } from './markdown.ts';
import { type Standing, standings, verdictOf } from './verdicts.ts';

const needSchema = z.enum(Object.keys(needs) as [Need, ...Need[]]);
const proceduresSchema = z.record(
  z.string(),
  z
    .custom<{ readonly _def: unknown }>((value) => typeof value === 'function')
    .transform(({ _def }) => z.object({ meta: z.object({ needs: needSchema }) }).parse(_def).meta.needs),
);
const router: AnyTRPCRouter = appRouter;
const who = Object.keys(standings) as Standing[];
const signs = { yes: '✓', FORBIDDEN: '403', NOT_FOUND: '404' } as const;

/** `docs/access.md` with its tables made anew from what each procedure and each route declares. */
export function accessGuide(text: string): string {
  return withSections(text, { needs: needsTable(), procedures: proceduresTable(), routes: routesTable() });
}

function needsTable(): string {
  const rows = Object.entries(needs).map(([need, { what, scope }]) => [
    code(need),
    what,
    ...verdicts(needSchema.parse(need)),
    code(scope ?? ''),
  ]);
  return table(['need', 'a call that', ...who, 'scope of a key'], rows);
}

function proceduresTable(): string {
  const all = Object.entries(proceduresSchema.parse({ ...router._def.procedures }));
  return table(
    ['procedure', 'needs', ...who],
    all.map(([path, need]) => [code(path), code(need), ...verdicts(need)]),
  );
}

function routesTable(): string {
  const rows = Object.entries(routeNeeds).map(([route, need]) => [code(route), code(need), ...verdicts(need)]);
  return table(['route', 'needs', ...who], rows);
}

function verdicts(need: Need): string[] {
  return who.map((standing) => signs[verdictOf(need, standing)]);
}
