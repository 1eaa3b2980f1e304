import * as z from 'zod';
import type { Harness } from '../acp/harness.ts';
import { CaissonError } from '../kernel/errors.ts';
import { permissionIdSchema, runIdSchema } from '../kernel/ids.ts';
import {
  type GuestHealth,
  guestPaths,
  journalAckSchema,
  leaseHeader,
  leaseRequestSchema,
  permissionAnswerSchema,
  sessionParamsSchema,
} from '../wire/contract/guest-api.ts';
import { sessionSpecSchema, turnRequestSchema } from '../wire/contract/turn.ts';
import { answerJson, type InwardCall, parseInput, readJsonBody, type Route } from './inward-call.ts';
import { type JournalPump, pumpJournal } from './journal-pump.ts';
import type { Journal } from './journal.ts';
import { Lease } from './lease.ts';
import type { TurnWatch } from './turn-watch.ts';

interface HarnessServices {
  readonly harness: Harness;
  readonly journal: Journal;
  readonly turns: TurnWatch;
  /** All of the health that the routes do not know themselves. */
  readonly identity: () => Omit<GuestHealth, 'leaseEpoch' | 'journal' | 'harness'>;
}

const decimalSchema = z
  .string()
  .regex(/^\d{1,16}$/, 'not a whole number')
  .transform(Number);
const leaseEpochSchema = decimalSchema.pipe(leaseRequestSchema.shape.epoch);
const afterSchema = decimalSchema.pipe(journalAckSchema.shape.seq);
const runParamsSchema = z.object({ runId: runIdSchema });
const permissionParamsSchema = z.object({ permissionId: permissionIdSchema });

/** Health, lease, journal, sessions, turns and permissions: the table of `guest-api.ts`, as it is answered. */
export function harnessRoutes({ harness, journal, turns, identity }: HarnessServices): readonly Route[] {
  let pump: JournalPump | undefined;
  const lease = new Lease(() => {
    pump?.end(new CaissonError('STALE_LEASE', 'Another control plane has taken the lease.'));
  });
  /** Called after the last await before something is done, so that no call of an older driver slips through. */
  const requireLease = ({ headers }: InwardCall): void => {
    lease.take(parseInput(leaseEpochSchema, headers[leaseHeader], `header ${leaseHeader}`));
  };
  const runOf = ({ params }: InwardCall) => parseInput(runParamsSchema, params, 'run id').runId;
  const conversationOf = ({ params }: InwardCall) =>
    parseInput(sessionParamsSchema, params, 'conversation id').conversationId;

  return [
    {
      method: 'GET',
      path: guestPaths.health,
      handle: ({ stream }) => {
        const { head, acknowledged, bytes, full } = journal;
        answerJson(stream, {
          ...identity(),
          leaseEpoch: lease.epoch,
          journal: { head, acknowledged, bytes, full },
          harness: { name: harness.name, state: harness.state },
        } satisfies GuestHealth);
      },
    },
    {
      method: 'PUT',
      path: guestPaths.lease,
      handle: async ({ stream }) => {
        lease.take(parseInput(leaseRequestSchema, await readJsonBody(stream), 'lease').epoch);
        answerJson(stream, {});
      },
    },
    {
      method: 'GET',
      path: guestPaths.journal,
      handle: (call) => {
        requireLease(call);
        pump = pumpJournal(journal, parseInput(afterSchema, call.query.get('after'), 'parameter `after`'), call.stream);
      },
    },
    {
      method: 'POST',
      path: guestPaths.journalAck,
      handle: async (call) => {
        const { seq } = parseInput(journalAckSchema, await readJsonBody(call.stream), 'acknowledgement');
        requireLease(call);
        journal.acknowledge(seq);
        answerJson(call.stream, {});
      },
    },
    {
      method: 'PUT',
      path: '/v1/sessions/:conversationId',
      handle: async (call) => {
        const conversationId = conversationOf(call);
        const spec = parseInput(sessionSpecSchema, await readJsonBody(call.stream), 'session');
        if (spec.conversationId !== conversationId) {
          throw new CaissonError('BAD_REQUEST', 'The session is for another conversation than the path.');
        }
        requireLease(call);
        await harness.openSession(spec);
        answerJson(call.stream, {});
      },
    },
    {
      method: 'DELETE',
      path: '/v1/sessions/:conversationId',
      handle: async (call) => {
        const conversationId = conversationOf(call);
        requireLease(call);
        await harness.closeSession(conversationId);
        answerJson(call.stream, {});
      },
    },
    {
      method: 'PUT',
      path: '/v1/turns/:runId',
      handle: async (call) => {
        const runId = runOf(call);
        const request = parseInput(turnRequestSchema, await readJsonBody(call.stream), 'turn');
        requireLease(call);
        const status = harness.startTurn(runId, request);
        turns.started(status);
        answerJson(call.stream, status);
      },
    },
    {
      method: 'GET',
      path: '/v1/turns/:runId',
      handle: (call) => answerJson(call.stream, harness.turnStatus(runOf(call))),
    },
    {
      method: 'POST',
      path: '/v1/turns/:runId/cancel',
      handle: (call) => {
        const runId = runOf(call);
        requireLease(call);
        answerJson(call.stream, harness.cancelTurn(runId));
      },
    },
    {
      method: 'POST',
      path: '/v1/permissions/:permissionId',
      handle: async (call) => {
        const { permissionId } = parseInput(permissionParamsSchema, call.params, 'permission id');
        const answer = parseInput(permissionAnswerSchema, await readJsonBody(call.stream), 'answer');
        requireLease(call);
        harness.answerPermission(permissionId, answer);
        answerJson(call.stream, {});
      },
    },
  ];
}
