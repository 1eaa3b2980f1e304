import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { newConversationId, newMessageId, newPermissionId } from '../../src/kernel/ids.ts';
import { maxJournalLineBytes } from '../../src/wire/contract/guest-api.ts';
import type { JournalEntry } from '../../src/wire/contract/journal-entry.ts';
import { fakeGuest } from './fake-guest.ts';

const conversationId = newConversationId();

/** An entry with an event, as text: `event` need not be one. */
const line = (seq: number, event: string, at = '1'): string =>
  `{"seq":${seq},"at":${at},"body":{"type":"event","conversationId":"${conversationId}","runId":null,"event":${event}}}\n`;
const other = (update: string): string => `{"type":"harness.other","sessionUpdate":"x","update":${update}}`;
const most = maxJournalLineBytes - 1_000;

/** A guest whose journal is these bytes, as fast as they are taken. */
const journalOf = (text: string) =>
  fakeGuest((stream, headers) => {
    stream.respond();
    stream.end(headers[':path'] === '/v1/lease' ? '{}' : text);
  });

async function read(text: string): Promise<{ batches: (readonly JournalEntry[])[]; error: unknown }> {
  await using guest = journalOf(text);
  await guest.client.takeLease(1);
  const batches: (readonly JournalEntry[])[] = [];
  try {
    for await (const batch of guest.client.readJournal({ after: 0 })) batches.push(batch);
  } catch (error) {
    return { batches, error };
  }
  throw new Error('the journal ended without a word');
}

const message = (content: string): string =>
  `{"type":"message.completed","messageId":"${newMessageId()}","content":${content}}`;
const request = (fields: string): string =>
  `{"type":"permission.requested","permissionId":"${newPermissionId()}","toolCallId":"t","title":"t","kind":"k","content":[],"options":[],"expiresAt":1,${fields}}`;
const tool = (fields: string): string =>
  `{"type":"tool.started","toolCallId":"t","title":"t","kind":"k","locations":[],"content":[],${fields}}`;

test.for([
  ['hundreds of thousands of empty objects', line(1, other(`[${'{},'.repeat(most / 3)}0]`))],
  ['hundreds of thousands of numbers', line(1, other(`[${'0,'.repeat(most / 2)}0]`))],
  ['arrays half a million deep', line(1, other('['.repeat(most / 2) + ']'.repeat(most / 2)))],
  ['objects a hundred deep', line(1, other('{"a":'.repeat(100) + '0' + '}'.repeat(100)))],
  ['JSON that is deeper than the contract allows', line(1, other('['.repeat(70) + ']'.repeat(70)))],
  ['a line above the bound', line(1, other(`"${'x'.repeat(maxJournalLineBytes)}"`))],
  ['a line that does not end', '{"seq":1,"x":"'.padEnd(maxJournalLineBytes * 2, 'x')],
  [
    'a message of a thousand blocks',
    line(1, message(`[${'{"type":"text","text":""},'.repeat(999)}{"type":"text","text":""}]`)),
  ],
  ['a thousand malformed blocks', line(1, message(`[${'{},'.repeat(400)}{}]`))],
  ['a long title', line(1, tool(`"title":"${'x'.repeat(5_000)}"`))],
  ['a long kind', line(1, tool(`"kind":"${'x'.repeat(5_000)}"`))],
  ['a long id', line(1, tool(`"toolCallId":"${'x'.repeat(5_000)}"`))],
  ['many locations', line(1, tool(`"locations":[${'"",'.repeat(2_000)}""]`))],
  ['many options', line(1, request(`"options":[${'{"optionId":"a","name":"a","kind":"allow_once"},'.repeat(99)}0]`))],
  ['a request that nobody could read', line(1, request(`"input":"${'x'.repeat(500_000)}"`))],
  ['a request that expires when there are no dates', line(1, request('"expiresAt":9007199254740991'))],
  ['a request that expired before there were dates', line(1, request('"expiresAt":-1'))],
  ['a time that is no date', line(1, other('0'), '9007199254740991')],
  ['a time before all dates', line(1, other('0'), '-9007199254740991')],
  [
    'a session with a long id',
    `{"seq":1,"at":1,"body":{"type":"session.opened","conversationId":"${conversationId}","sessionId":"${'s'.repeat(501)}","how":"new","modes":[],"models":[],"mode":null,"model":null}}\n`,
  ],
  [
    'a long last word of a harness',
    `{"seq":1,"at":1,"body":{"type":"harness.exited","exitCode":1,"signal":null,"stderr":"${'x'.repeat(10_000)}"}}\n`,
  ],
] as const)('a journal with %s is GUEST_PROTOCOL, in few words', async ([, text]) => {
  const { batches, error } = await read(text);
  expect(batches).toEqual([]);
  expect(error).toMatchObject({
    code: 'GUEST_PROTOCOL',
    message: expect.toSatisfy((said) => String(said).length < 1_000),
  });
});

test('entries at the bounds are taken', async () => {
  const text = [
    line(1, message(`[{"type":"text","text":"${'x'.repeat(most)}"}]`)),
    line(2, other(`[${'{},'.repeat(19_000)}0]`)),
    line(3, other('['.repeat(64) + ']'.repeat(64))),
    line(4, other('"]]]}}}\\"[[[[{{{\\\\"')),
    line(5, message(`[${'{"type":"text","text":"a"},'.repeat(499)}{"type":"text","text":"a"}]`)),
  ].join('');
  const { batches, error } = await read(text);
  expect(batches.flat().map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  expect(error).toMatchObject({ code: 'WIRE_LOST' }); // it ended without a reason
});

test('a guest that floods is read in small batches, and everything else has its turn after each', async () => {
  const entries = 5_000;
  await using guest = journalOf(Array.from({ length: entries }, (_, index) => line(index + 1, other('"x"'))).join(''));
  await guest.client.takeLease(1);
  let turned = true;
  let seen = 0;
  const reading = async (): Promise<void> => {
    for await (const batch of guest.client.readJournal({ after: 0 })) {
      expect(turned).toBe(true);
      expect(batch.length).toBeLessThanOrEqual(32);
      seen += batch.length;
      turned = false;
      void nextTurn().then(() => (turned = true));
    }
  };
  await expect(reading()).rejects.toMatchObject({ code: 'WIRE_LOST' });
  expect(seen).toBe(entries);
});

test('an answer of the guest that is larger than any is GUEST_PROTOCOL, and so is an endless error', async () => {
  for (const [status, body] of [
    [200, `[${'{},'.repeat(400_000)}0]`],
    [
      400,
      JSON.stringify({ code: 'BAD_REQUEST', message: 'x'.repeat(50_000), hint: '', retryable: false, details: {} }),
    ],
  ] as const) {
    await using guest = fakeGuest((stream) => {
      stream.respond({ ':status': status });
      stream.end(body);
    });
    await expect(guest.client.health()).rejects.toMatchObject({
      code: 'GUEST_PROTOCOL',
      message: expect.toSatisfy((said) => String(said).length < 1_000),
    });
  }
});
