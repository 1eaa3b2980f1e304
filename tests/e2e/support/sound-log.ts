import { expect } from 'vitest';
import type { AgentEvent, Message } from '../../../src/client/index.ts';

export type EventOf<Type extends AgentEvent['type']> = Extract<AgentEvent, { readonly type: Type }>;
/** The one event that ends a run. */
export type RunEndEvent = EventOf<
  'run.completed' | 'run.failed' | 'run.canceled' | 'run.timed_out' | 'run.interrupted' | 'run.rejected'
>;

export function isRunEnd(event: AgentEvent): event is RunEndEvent {
  switch (event.type) {
    case 'run.completed':
    case 'run.failed':
    case 'run.canceled':
    case 'run.timed_out':
    case 'run.interrupted':
    case 'run.rejected':
      return true;
    default:
      return false;
  }
}

/**
 * What holds for the whole log of an agent, whatever happened: `seq` has no gap, and each run that is over has exactly
 * one end, as its last event, with every message, tool call and permission of it closed before.
 */
export function expectSoundLog(events: readonly AgentEvent[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(new Set(events.map(({ agentId }) => agentId)).size).toBe(1);
  for (const [runId, ofRun] of Map.groupBy(events, (event) => event.runId)) {
    if (runId !== null && ofRun.some(isRunEnd)) expectSoundRun(ofRun);
  }
}

function expectSoundRun(events: readonly AgentEvent[]): void {
  expect(new Set(events.map(({ conversationId }) => conversationId)).size).toBe(1);
  expect(events.slice(0, 2).map(({ type }) => type)).toEqual(['message.added', 'run.queued']);
  const end = events.find(isRunEnd);
  expect(events.filter(isRunEnd)).toEqual([events.at(-1)]);
  const steps = events.flatMap(({ type }) => (type === 'run.starting' || type === 'run.started' ? [type] : []));
  expect(['run.starting', 'run.started'].slice(0, steps.length)).toEqual(steps);
  if (end?.type === 'run.completed') expect(steps).toHaveLength(2);

  for (const [messageId, ofMessage] of Map.groupBy(events, messageIdOf)) {
    if (messageId !== undefined) expectSoundMessage(ofMessage);
  }
  for (const [toolCallId, ofTool] of Map.groupBy(events, toolCallIdOf)) {
    if (toolCallId === undefined) continue;
    const types = ofTool.map(({ type }) => type);
    const updates = types.slice(1, -1).map(() => 'tool.updated');
    expect(types, toolCallId).toEqual(['tool.started', ...updates, 'tool.completed']);
  }
  for (const [permissionId, ofPermission] of Map.groupBy(events, permissionIdOf)) {
    if (permissionId === undefined) continue;
    expect(ofPermission.map(({ type }) => type)).toEqual(['permission.requested', 'permission.resolved']);
  }
}

/** The deltas lie end to end; a message then has either its whole content, which they are, or was taken back. */
function expectSoundMessage(events: readonly AgentEvent[]): void {
  let text = '';
  const ends: AgentEvent[] = [];
  for (const event of events) {
    if (event.type === 'message.delta' || event.type === 'thought.delta') {
      expect(event.offset).toBe(text.length);
      text += event.delta;
    } else if (event.type === 'message.completed' || event.type === 'message.discarded') ends.push(event);
  }
  if (events.some(({ type }) => type === 'thought.delta')) return expect(ends).toEqual([]);
  expect(ends, `the ends of "${text.slice(0, 100)}"`).toEqual([events.at(-1)]);
  for (const end of ends) if (end.type === 'message.completed') expect(textOf(end.content)).toBe(text);
}

export function textOf(content: Message['content']): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

function messageIdOf(event: AgentEvent): string | undefined {
  switch (event.type) {
    case 'message.delta':
    case 'message.completed':
    case 'message.discarded':
    case 'thought.delta':
      return event.messageId;
    default:
      return undefined;
  }
}

function toolCallIdOf(event: AgentEvent): string | undefined {
  switch (event.type) {
    case 'tool.started':
    case 'tool.updated':
    case 'tool.completed':
      return event.toolCallId;
    default:
      return undefined;
  }
}

function permissionIdOf(event: AgentEvent): string | undefined {
  return event.type === 'permission.requested' || event.type === 'permission.resolved' ? event.permissionId : undefined;
}
