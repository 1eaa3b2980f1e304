import { expect, test } from 'vitest';
import type { AgentStore } from '../../../src/agents/ports.ts';
import { newIncarnationId } from '../../../src/kernel/ids.ts';
import { aConversation, aDelta, aMessage, anAgent, aPermission, aRun, now, storedAgent } from '../store-records.ts';

export function transactionBehaviours(store: () => AgentStore): void {
  test('what a failed transaction wrote is gone, all of it', async () => {
    const { agent, conversation } = await storedAgent(store());
    const old = aRun(conversation);
    await store().transaction((tx) => tx.insertRun(old));
    const [added, opened, run] = [anAgent(), aConversation(agent.id), aRun(conversation)];
    const [message, permission, incarnation] = [aMessage(conversation), aPermission(conversation), newIncarnationId()];
    const scope = { principalId: agent.ownerId, conversationId: conversation.id, key: 'k' };
    const failed = store().transaction(async (tx) => {
      await tx.insertAgent(added);
      await tx.insertConversation(opened);
      await tx.setSandboxStatus(agent.id, { state: 'stopped', reason: 'x' });
      await tx.setAgentDeleting(agent.id);
      await tx.nextLeaseEpoch(agent.id);
      await tx.closeConversation(conversation.id);
      await tx.setConversationSession(conversation.id, 's');
      await tx.insertMessage({ ...message, createdAt: now + 9 });
      await tx.insertRun(run);
      await tx.requestRunCancel(old.id);
      await tx.moveRun(old.id, 'queued', { state: 'starting', incarnation });
      await tx.insertPermission(permission);
      await tx.insertIdempotent(scope, { fingerprint: 'f', runId: run.id, messageId: message.id, acceptedAt: now });
      await tx.appendEvents(agent.id, [aDelta('x')]);
      await tx.setJournalPosition(agent.id, incarnation, 3);
      throw new Error('no, after all');
    });
    await expect(failed).rejects.toThrow('no, after all');
    expect(await store().findAgent(added.id)).toBeUndefined();
    expect(await store().findConversation(opened.id)).toBeUndefined();
    expect(await store().findAgent(agent.id)).toEqual(agent);
    expect(await store().findConversation(conversation.id)).toEqual(conversation);
    expect(await store().findMessage(message.id)).toBeUndefined();
    expect(await store().findRun(run.id)).toBeUndefined();
    expect(await store().findRun(old.id)).toEqual(old);
    expect(await store().findPermission(permission.id)).toBeUndefined();
    expect(await store().eventBounds(agent.id)).toEqual({ first: 1, last: 0 });
    expect(await store().journalPosition(agent.id, incarnation)).toBe(0);
    await store().transaction(async (tx) => {
      expect(await tx.findIdempotent(scope)).toBeUndefined();
      expect(await tx.nextLeaseEpoch(agent.id)).toBe(1);
      expect((await tx.appendEvents(agent.id, [aDelta('x')])).events[0]?.seq).toBe(1);
    });
  });

  test('transactions run whole, one after the other, in the order of asking', async () => {
    const steps: string[] = [];
    await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        store().transaction(async (tx) => {
          steps.push(`${name} begins`);
          for (let reads = 0; reads < 3; reads++) await tx.findAgent(anAgent().id);
          steps.push(`${name} ends`);
        }),
      ),
    );
    expect(steps).toEqual(['a', 'b', 'c', 'd'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  });

  test('a read outside sees a transaction whole or not at all', async () => {
    const { agent } = await storedAgent(store());
    const seen: number[] = [];
    const reads: Promise<void>[] = [];
    const look = (): void => {
      reads.push(
        store()
          .eventBounds(agent.id)
          .then(({ last }) => void seen.push(last)),
      );
    };
    const written = store().transaction(async (tx) => {
      for (let batch = 0; batch < 5; batch++) await tx.appendEvents(agent.id, [aDelta('x'), aDelta('y')]);
    });
    for (let turn = 0; turn < 40; turn++) {
      look();
      await Promise.resolve();
    }
    await written;
    look();
    await Promise.all(reads);
    expect(seen.filter((last) => last !== 0 && last !== 10)).toEqual([]);
    expect(seen.at(-1)).toBe(10);
  });

  test('a call of the store from inside a transaction is refused, not awaited for ever, and nothing is written', async () => {
    const added = anAgent();
    const reading = store().transaction(async (tx) => {
      await tx.insertAgent(added);
      await store().findAgent(added.id);
    });
    await expect(reading).rejects.toMatchObject({ code: 'INTERNAL' });
    const nesting = store().transaction(async (tx) => {
      await tx.insertAgent(added);
      await store().transaction((inner) => inner.insertAgent(anAgent()));
    });
    await expect(nesting).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await store().findAgent(added.id)).toBeUndefined();
  });

  test('what a transaction started may use the store once the transaction is over', async () => {
    const { agent } = await storedAgent(store());
    const over = Promise.withResolvers<void>();
    let later: Promise<unknown> = Promise.resolve();
    await store().transaction(async (tx) => {
      later = over.promise.then(() => store().findAgent(agent.id));
      await tx.findAgent(agent.id);
    });
    over.resolve();
    expect(await later).toEqual(agent);
  });

  test('a transaction that is over refuses further calls', async () => {
    const kept = await store().transaction(async (tx) => tx);
    await expect(kept.insertAgent(anAgent())).rejects.toThrow();
  });

  test('a call that the database refused dooms its transaction, also when the caller goes on', async () => {
    const { agent, conversation } = await storedAgent(store());
    const run = aRun(conversation);
    const going = store().transaction(async (tx) => {
      await tx.insertRun(run);
      await tx.insertRun(run).catch(() => undefined);
      await tx.appendEvents(agent.id, [aDelta('x')]).catch(() => undefined);
    });
    await expect(going).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await store().findRun(run.id)).toBeUndefined();
    expect(await store().eventBounds(agent.id)).toEqual({ first: 1, last: 0 });
  });
}
