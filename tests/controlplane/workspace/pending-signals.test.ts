import { expect, test } from 'vitest';
import { PendingSignals } from '../../../src/controlplane/workspace/pending-signals.ts';
import type { SignalName } from '../../../src/wire/contract/processes.ts';

/** A process whose signals are answered one by one, as the test wants. */
function slowProcess() {
  const sent: SignalName[] = [];
  const answers: PromiseWithResolvers<void>[] = [];
  return {
    sent,
    send: (signal: SignalName): Promise<void> => {
      sent.push(signal);
      const answer = Promise.withResolvers<void>();
      answers.push(answer);
      return answer.promise;
    },
    answer: async (error?: Error): Promise<void> => {
      const next = answers.shift();
      if (error === undefined) next?.resolve();
      else next?.reject(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('signals wait for the process, and go in order, one at a time', async () => {
  const { sent, send, answer } = slowProcess();
  const signals = new PendingSignals();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) signals.add(signal);
  signals.begin(send);
  expect(sent).toEqual(['SIGINT']);
  await answer();
  expect(sent).toEqual(['SIGINT', 'SIGTERM']);
  await answer();
  signals.add('SIGKILL');
  expect(sent).toEqual(['SIGINT', 'SIGTERM', 'SIGKILL']);
});

test('a flood of one signal is two: the one on its way, and the one that waits', async () => {
  const { sent, send, answer } = slowProcess();
  const signals = new PendingSignals();
  signals.begin(send);
  for (let i = 0; i < 30_000; i++) signals.add('SIGUSR1');
  for (let i = 0; i < 3; i++) await answer();
  expect(sent).toEqual(['SIGUSR1', 'SIGUSR1']);
});

test('one that fails does not hold up the next', async () => {
  const { sent, send, answer } = slowProcess();
  const signals = new PendingSignals();
  signals.begin(send);
  signals.add('SIGINT');
  signals.add('SIGTERM');
  await answer(new Error('it has ended'));
  expect(sent).toEqual(['SIGINT', 'SIGTERM']);
});
