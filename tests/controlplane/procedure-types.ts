import type { AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import { appRouter } from '../../src/controlplane/api/app-router.ts';

const flat = z.record(
  z.string(),
  z.custom<{ _def: { type: string } }>((value) => typeof value === 'function'),
);

const router: AnyTRPCRouter = appRouter;

/** Every procedure of the API, as `agents.create` → `mutation`. */
export const procedureTypes: ReadonlyMap<string, string> = new Map(
  Object.entries(flat.parse({ ...router._def.procedures })).map(([path, procedure]) => [path, procedure._def.type]),
);
