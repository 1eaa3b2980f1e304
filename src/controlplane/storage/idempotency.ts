import type { Kysely } from 'kysely';
import type { IdempotencyScope, IdempotentRequest } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { Database } from './database.ts';

export async function find(db: Kysely<Database>, scope: IdempotencyScope): Promise<IdempotentRequest | undefined> {
  const row = await db
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('conversation_id', '=', scope.conversationId)
    .where('principal_id', '=', scope.principalId)
    .where('key', '=', scope.key)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { fingerprint: row.fingerprint, runId: row.run_id, messageId: row.message_id, acceptedAt: row.accepted_at };
}

export async function insert(db: Kysely<Database>, scope: IdempotencyScope, request: IdempotentRequest): Promise<void> {
  const inserted = await db
    .insertInto('idempotency_keys')
    .values({
      conversation_id: scope.conversationId,
      principal_id: scope.principalId,
      key: scope.key,
      fingerprint: request.fingerprint,
      run_id: request.runId,
      message_id: request.messageId,
      accepted_at: request.acceptedAt,
    })
    .onConflict((conflict) => conflict.columns(['conversation_id', 'principal_id', 'key']).doNothing())
    .returning('key')
    .executeTakeFirst();
  if (inserted === undefined) throw new CaissonError('IDEMPOTENCY_CONFLICT', 'This idempotency key is already used.');
}
