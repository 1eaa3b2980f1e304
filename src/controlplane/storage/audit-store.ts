import type { AuditStore } from '../audit/audit-store.ts';
import * as calls from './audit-calls.ts';
import * as records from './audit-records.ts';
import * as search from './audit-search.ts';
import type { StorageAccess } from './storage-access.ts';

export function createAuditStore(access: StorageAccess): AuditStore {
  return {
    head: async () => await records.head(access.db),
    append: async (take) => await access.transaction(async (tx) => await records.append(tx, take())),
    readLinks: async (after, limit) => await records.readLinks(access.db, after, limit),
    findLastBody: async (action) => await records.findLastBody(access.db, action),
    lastBefore: async (time, limit) => await records.lastBefore(access.db, time, limit),
    search: async (filter, page) => await access.transaction(async (tx) => await search.search(tx, filter, page)),

    clockWatch: async () => await records.clockWatch(access.db),
    noteClockWatch: async (watch) => await records.noteClockWatch(access.db, watch),

    listOpen: async () => await calls.list(access.db),
  };
}
