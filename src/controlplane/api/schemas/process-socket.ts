import { z } from 'zod';
import type { ErrorBody } from '../../../kernel/errors.ts';
import { type ProcessExit, type ProcessInfo, signalSchema } from '../../../wire/contract/processes.ts';
import type { AliveMessage } from './alive.ts';
import { commandFields } from './process.ts';

/**
 * A process over a WebSocket, `/v1/agents/:agentId/processes/attach`. Text messages are JSON of the shapes below; binary ones
 * are bytes: to the server input; from it output, after one byte that says of which stream (1 stdout, 2 stderr).
 *
 * The client says `start` first. The server answers `started`, sends output as it comes, and at the end `exited`; or `failed`
 * at any time, and closes. A socket that closes before takes the process along.
 *
 * Neither end sends more than `window` bytes that the other has not `taken`: WebSockets have no flow control that programs
 * can see, and with it a slow reader slows the process down, and a process that does not read slows the client down.
 */
export const attachWindows = {
  /** Of output, in bytes. */
  output: 4 * 1024 * 1024,
  /** Of input, in bytes. */
  input: 1024 * 1024,
} as const;

/** How many bytes of output or input the sender has dealt with, since the beginning. */
const takenSchema = z.strictObject({ type: z.literal('taken'), bytes: z.int().min(0) });

export const attachStartSchema = z.strictObject({
  type: z.literal('start'),
  ...commandFields,
  /** The most that it may take. Default: no limit. */
  timeoutMs: z.int().min(1).max(2_147_483_647).optional(),
});
export type AttachStart = z.infer<typeof attachStartSchema>;

export const attachUpMessageSchema = z.discriminatedUnion('type', [
  takenSchema,
  /** The end of the input. */
  z.strictObject({ type: z.literal('end') }),
  /** For the process and its group. */
  z.strictObject({ type: z.literal('signal'), signal: signalSchema }),
]);
export type AttachUpMessage = z.infer<typeof attachUpMessageSchema>;

export type AttachDownMessage =
  | AliveMessage
  | z.infer<typeof takenSchema>
  | { readonly type: 'started'; readonly process: ProcessInfo }
  | ({ readonly type: 'exited' } & ProcessExit)
  | { readonly type: 'failed'; readonly error: ErrorBody };
