import type { Need } from '../auth/needs.ts';

/** What each procedure declares. It is part of the router's type, as `RequestContext` is. */
export interface ProcedureMeta {
  readonly needs: Need;
}
