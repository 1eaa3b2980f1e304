import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { terminalSocketRoute } from '../../../src/controlplane/workspace/terminal-socket.ts';
import type { Workspaces } from '../../../src/controlplane/workspace/workspaces.ts';
import { newAgentId, newTerminalId } from '../../../src/kernel/ids.ts';
import type { TerminalChannel } from '../../../src/wire/terminals-client.ts';

type Handlers = Parameters<TerminalChannel['listen']>[0];

/** A client that takes nothing: what it is sent waits. A double of a WebSocket, since a real one has the kernel's room first. */
class StalledSocket extends EventEmitter {
  readonly OPEN = 1;
  readonly readyState = 1;
  bufferedAmount = 0;
  readonly waiting: (() => void)[] = [];

  send(message: Buffer, sent: () => void): void {
    this.bufferedAmount += message.length;
    this.waiting.push(() => {
      this.bufferedAmount -= message.length;
      sent();
    });
  }
}

test('a terminal is not read for a client with many small messages unsent, and is again when they are sent', async () => {
  let handlers: Handlers | undefined;
  const isRead = { now: true };
  const channel = {
    listen: (given: Handlers) => (handlers = given),
    pause: () => (isRead.now = false),
    resume: () => (isRead.now = true),
    onDrain: () => undefined,
    close: () => undefined,
  };
  const workspaces = { reach: async () => ({ guest: { terminals: { attach: async () => channel } }, level: 'use' }) };
  const serve = await terminalSocketRoute(workspaces as unknown as Workspaces).accept({
    demand: { principal: { userName: 'somebody' } } as never,
    params: { agentId: newAgentId(), terminalId: newTerminalId() },
    query: new URLSearchParams({ as: 'observer', token: 'x'.repeat(16) }),
    signal: new AbortController().signal,
  } as never);
  const socket = new StalledSocket();
  serve(socket as unknown as WebSocket);
  for (let told = 0; isRead.now && told < 10_000; told++) handlers?.onOutput(Buffer.from('.'));
  expect(socket.waiting.length).toBeLessThan(600);
  for (const sent of socket.waiting) sent();
  expect(isRead.now).toBe(true);
});
