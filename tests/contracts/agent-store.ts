import { afterAll, beforeAll, describe } from 'vitest';
import type { AgentStore } from '../../src/agents/ports.ts';
import { agentBehaviours } from './agent-store/agents.ts';
import { conversationBehaviours } from './agent-store/conversations.ts';
import { eventBehaviours } from './agent-store/events.ts';
import { pagingBehaviours } from './agent-store/paging.ts';
import { permissionBehaviours } from './agent-store/permissions.ts';
import { runBehaviours } from './agent-store/runs.ts';
import { transactionBehaviours } from './agent-store/transactions.ts';

/** What every `AgentStore` does. The tests share one store; each makes its own agents in it. */
export function agentStoreContract(
  name: string,
  open: () => Promise<{ readonly store: AgentStore; readonly close: () => Promise<void> }>,
): void {
  describe(`the agent store in ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(async () => {
      await opened.close();
    });
    const store = (): AgentStore => opened.store;
    describe('agents', () => agentBehaviours(store));
    describe('conversations and messages', () => conversationBehaviours(store));
    describe('runs', () => runBehaviours(store));
    describe('permissions', () => permissionBehaviours(store));
    describe('events and the journal', () => eventBehaviours(store));
    describe('pages', () => pagingBehaviours(store));
    describe('transactions', () => transactionBehaviours(store));
  });
}
