import { expect, test } from 'vitest';
import type { AgentEvent } from '../../src/agents/event.ts';
import { EventFeed } from '../../src/agents/event-feed.ts';
import { newAgentId, newMessageId } from '../../src/kernel/ids.ts';

const agentId = newAgentId();
const messageId = newMessageId();

function delta(seq: number, text = 'x'): AgentEvent {
  return {
    seq,
    agentId,
    conversationId: null,
    runId: null,
    at: 0,
    type: 'message.delta',
    messageId,
    delta: text,
    offset: 0,
  };
}

function seqsAfter(feed: EventFeed, after: number): readonly number[] | undefined {
  return feed.recentAfter(after)?.map(({ seq }) => seq);
}

test('a feed answers from the newest events, never with a gap, and keeps no more than 2,048', () => {
  const feed = new EventFeed();
  for (let seq = 1; seq <= 5_000; seq++) {
    feed.publish([delta(seq)]);
    if (seq % 100 !== 0) continue;
    expect(feed.recentAfter(seq - 2_049)).toBeUndefined();
    const after = Math.max(0, seq - 1_000);
    expect(seqsAfter(feed, after)).toEqual(Array.from({ length: seq - after }, (_, i) => after + 1 + i));
  }
});

test('a feed that missed some begins anew with those that follow', () => {
  const feed = new EventFeed();
  feed.publish([delta(1), delta(2)]);
  feed.publish([delta(5), delta(6)]);
  expect(feed.recentAfter(2)).toBeUndefined();
  expect(seqsAfter(feed, 4)).toEqual([5, 6]);
});

test('what was handed to a subscriber does not change with what comes', () => {
  const feed = new EventFeed();
  const published = [delta(1)];
  feed.publish(published);
  const handed = feed.recentAfter(0);
  feed.publish([delta(2)]);
  expect(handed?.length).toBe(1);
  expect(published.length).toBe(1);
});

test('events of more than 2 MiB are not kept', () => {
  const feed = new EventFeed();
  feed.publish([delta(1, 'x'.repeat(1024 * 1024))]);
  expect(seqsAfter(feed, 0)).toEqual([1]);
  feed.publish([delta(2, 'x'.repeat(1024 * 1024))]);
  expect(feed.recentAfter(1)).toBeUndefined();
  feed.publish([delta(3)]);
  expect(seqsAfter(feed, 2)).toEqual([3]);
});
