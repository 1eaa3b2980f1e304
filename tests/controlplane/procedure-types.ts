import type { AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import type { Need } from '../../src/controlplane/auth/needs.ts';
import { appRouter } from '../../src/controlplane/api/app-router.ts';

const flat = z.record(
  z.string(),
  z.custom<{ _def: { type: string; meta?: { needs?: Need } } }>((value) => typeof value === 'function'),
);

const router: AnyTRPCRouter = appRouter;
const procedures = Object.entries(flat.parse({ ...router._def.procedures }));

/** Every procedure of the API, as `agents.create` → `mutation`. */
export const procedureTypes: ReadonlyMap<string, string> = new Map(
  procedures.map(([path, { _def }]) => [path, _def.type]),
);

/** What each declares to need. */
export const procedureNeeds: ReadonlyMap<string, Need> = new Map(
  procedures.flatMap(([path, { _def }]) => (_def.meta?.needs === undefined ? [] : [[path, _def.meta.needs] as const])),
);
