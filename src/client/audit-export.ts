import type { Endpoint } from './endpoint.ts';
import { openStream } from './file-transfers.ts';

export interface AuditExportOptions {
  /** Only records after this one. Default: all that are kept. */
  readonly after?: number;
  /** Breaks it off. */
  readonly signal?: AbortSignal;
}

/**
 * The audit as JSON lines, oldest first: `{"hash":…,"previous":…,"record":…}`. `hash` is the SHA-256 of `previous`, a line feed,
 * and the text of `record` as it stands in the line. For administrators and auditors. The stream fails with TRANSFER_BROKEN
 * where it could not be finished.
 */
export async function exportAudit(
  endpoint: Endpoint,
  { after = 0, signal }: AuditExportOptions = {},
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  return await openStream(endpoint, `${endpoint.url}/v1/audit/export?after=${after}`, signal);
}
