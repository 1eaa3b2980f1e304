import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { PortAgent } from '../../../src/controlplane/previews/port-agent.ts';
import { until } from '../../until.ts';
import { echo, startApp } from './app.ts';

/** What 400 requests, made in the same moment, come to. */
function ask(agent: PortAgent): Promise<unknown[]> {
  const one = (): Promise<unknown> =>
    new Promise((resolve) => {
      get({ agent, host: 'app' }, (response) => response.resume().once('end', () => resolve(response.statusCode))).on(
        'error',
        (error) => resolve(error.message),
      );
    });
  return Promise.all(Array.from({ length: 400 }, one));
}

test('requests of the same moment wait for one of 64 connections, also while these are being made', async () => {
  await using app = await startApp(echo);
  const made = Promise.withResolvers<void>();
  let count = 0;
  const agent = new PortAgent(async (): Promise<Duplex> => {
    count++;
    await made.promise;
    const connection = connect(app.port, '127.0.0.1');
    await once(connection, 'connect');
    return connection;
  });
  const answers = ask(agent);
  await until('connections are being made', () => count >= 64);
  made.resolve();
  expect(new Set(await answers)).toEqual(new Set([200]));
  expect(count).toBe(64);
  agent.destroy();
});

test('those that wait are refused as well when no connection can be made, and later ones are served', async () => {
  await using app = await startApp(echo);
  let isUp = false;
  const agent = new PortAgent(async (): Promise<Duplex> => {
    if (!isUp) throw new Error('nobody listens');
    const connection = connect(app.port, '127.0.0.1');
    await once(connection, 'connect');
    return connection;
  });
  expect(new Set(await ask(agent))).toEqual(new Set(['nobody listens']));
  isUp = true;
  for (let round = 0; round < 3; round++) expect(new Set(await ask(agent))).toEqual(new Set([200]));
  agent.destroy();
});
