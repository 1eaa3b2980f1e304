import * as z from 'zod';
import { type TerminalId, terminalIdSchema } from '../../kernel/ids.ts';
import { maxVariables } from './processes.ts';

/**
 * Terminals, as the guest serves them (inward). They live in the guest: who listens comes and goes. JSON bodies.
 *
 * | method, path                | body                | answer                                          |
 * |-----------------------------|---------------------|-------------------------------------------------|
 * | POST   /v1/terminals        | OpenTerminal        | Terminal; LIMIT_REACHED, CAPABILITY_UNSUPPORTED |
 * | GET    /v1/terminals        |                     | TerminalList                                    |
 * | GET    /v1/terminals/:id    |                     | Terminal or TERMINAL_NOT_FOUND                  |
 * | PUT    /v1/terminals/:id/size | TerminalSize      | Terminal; TERMINAL_NOT_DRIVING while one drives |
 * | DELETE /v1/terminals/:id    |                     | Terminal: how it ended. An ended one is forgotten |
 * | POST   /v1/terminals/:id/attach?… | frames, upward | frames, downward                              |
 *
 * ## An attachment
 *
 * One reader of one terminal. Its query (`attachRequestSchema`) says after which byte it goes on, whether it wants to drive,
 * and a token of its own: attaching again with the token takes the place, and the seat, of the connection before.
 *
 * Both ways it carries the same two kinds of message, as frames on the wire (`terminal-frames.ts`) and as WebSocket messages
 * at `/v1/agents/:agentId/terminals/:terminalId?after=&as=&token=` of the control plane:
 *
 * | message        | wire frame | WebSocket | downward                               | upward                  |
 * |----------------|------------|-----------|----------------------------------------|-------------------------|
 * | bytes          | kind 0     | binary    | 8 bytes offset (big-endian), then output | input of the driver   |
 * | control        | kind 1     | text      | TerminalDownMessage as JSON            | TerminalUpMessage as JSON |
 *
 * Downward comes first `attached`, then output from `attached.from` on: each message begins where the one before ended, but
 * after `lost`, which says which bytes are gone (they had left the scrollback before this reader came to them). Then
 * `exited`, when all output was sent, or `ended`, when something else ends the attachment; then the end.
 *
 * Flow control: the reader sends `ack` with how many bytes of output it has used; at most `readWindowBytes` are on their way
 * to it. The guest sends `accepted`; the reader keeps at most `inputWindowBytes` of input unaccepted, and is ended
 * when it sends far more.
 */
export const terminalPaths = {
  terminals: '/v1/terminals',
  terminal: (id: TerminalId) => `/v1/terminals/${id}`,
  size: (id: TerminalId) => `/v1/terminals/${id}/size`,
  attach: (id: TerminalId) => `/v1/terminals/${id}/attach`,
} as const;

export const terminalBounds = {
  /** Terminals of an agent that run. */
  running: 16,
  /** Ended ones that stay listed, with their output, and for how long. */
  ended: 16,
  endedMs: 10 * 60_000,
  /** Attachments of one terminal. */
  readers: 16,
  /** Output that is kept of each terminal: its scrollback. */
  scrollbackBytes: 1024 * 1024,
  /** Output that is on its way to one reader, not acknowledged. */
  readWindowBytes: 256 * 1024,
  /** Input of one reader that is not accepted yet, as clients keep it. */
  inputWindowBytes: 128 * 1024,
  /** Output in one message. */
  outputChunkBytes: 32 * 1024,
  /** Input in one message. */
  inputChunkBytes: 64 * 1024,
  /** A control message as JSON. */
  controlBytes: 32 * 1024,
} as const;

const noNul = /^[^\0]*$/;
const text = (longest: number) => z.string().max(longest).regex(noNul, 'must not hold a NUL');

export const terminalSizeSchema = z.strictObject({ cols: z.int().min(1).max(1_000), rows: z.int().min(1).max(1_000) });
export type TerminalSize = z.infer<typeof terminalSizeSchema>;

/** What all arguments together may hold, in characters. */
const longestCommand = 8 * 1024;
const largestEnvironment = 32 * 1024;

export const openTerminalSchema = z.strictObject({
  /** Program and arguments; a program without a slash is looked for in the PATH. Default: `/bin/bash`. */
  command: z
    .array(text(longestCommand))
    .min(1)
    .max(256)
    .refine((words) => words.join(' ').length <= longestCommand, `must not exceed ${longestCommand} characters`)
    .optional(),
  /** Where it starts; relative to /workspace, which is the default. */
  cwd: text(4_096).optional(),
  /** Added to the terminal's clean environment. */
  env: z
    .record(z.string().regex(/^[^=\0]+$/, 'not the name of a variable'), text(largestEnvironment))
    .refine((all) => Object.keys(all).length <= maxVariables, `must not exceed ${maxVariables} variables`)
    .refine(
      (all) => JSON.stringify(all).length <= largestEnvironment,
      `must not exceed ${largestEnvironment} characters`,
    )
    .optional(),
  /** Default 80. */
  cols: terminalSizeSchema.shape.cols.default(80),
  /** Default 24. */
  rows: terminalSizeSchema.shape.rows.default(24),
});
export type OpenTerminal = z.input<typeof openTerminalSchema>;

/** How a program ended: its code, or the name of the signal that ended it. */
const exitFields = { exitCode: z.int().nullable(), signal: z.string().max(20).nullable() };

/** Somebody attached to a terminal. */
const readerSchema = z.object({
  /** Numbered by the terminal, from 1. */
  id: z.int().positive(),
  /** Of the user. */
  name: z.string().max(200),
  /** Milliseconds since the epoch. */
  since: z.int(),
});

/** Who is there, who drives, and how large it is. */
const situationFields = {
  ...terminalSizeSchema.shape,
  readers: z.array(readerSchema).max(terminalBounds.readers),
  /** The `id` of the reader that types and resizes; null while the seat is free. */
  driver: z.int().positive().nullable(),
};

export const terminalSchema = z.object({
  id: terminalIdSchema,
  command: z.array(z.string().max(longestCommand)).max(256),
  cwd: z.string().max(8_192),
  /** Of the program, in the sandbox. */
  pid: z.int(),
  /** Milliseconds since the epoch. */
  createdAt: z.int(),
  ...situationFields,
  /** The output that is kept: from the byte `start` up to `end`, which is how much was printed in all. */
  output: z.object({ start: z.int().min(0), end: z.int().min(0) }),
  /** Null while it runs. */
  exit: z.object({ ...exitFields, at: z.int() }).nullable(),
});
export type Terminal = z.infer<typeof terminalSchema>;

export const terminalListSchema = z.object({
  terminals: z.array(terminalSchema).max(terminalBounds.running + terminalBounds.ended),
});

/** Who may take the seat: `driver` takes it from whoever has it, `auto` where it is free, `observer` only later, by asking. */
const seatWishSchema = z.enum(['driver', 'auto', 'observer']);

export const attachRequestSchema = z.object({
  /** Output after this many bytes. Default: all that is kept. */
  after: z.int().min(0).optional(),
  as: seatWishSchema.default('auto'),
  /** Chosen by the client, and known to it alone: who comes back with it is the same reader. */
  token: z.string().regex(/^[\w-]{16,64}$/),
  /** Shown to the others. */
  name: z.string().max(200),
});
export type AttachRequest = z.input<typeof attachRequestSchema>;

export const terminalUpMessageSchema = z.discriminatedUnion('type', [
  /** So many bytes of output were used in all since this attachment began. */
  z.strictObject({ type: z.literal('ack'), bytes: z.int().min(0) }),
  z.strictObject({ type: z.literal('resize'), ...terminalSizeSchema.shape }),
  z.strictObject({ type: z.literal('take') }),
  /** Leaves the seat free, or to another reader. Ignored from who does not have it. */
  z.strictObject({ type: z.literal('give'), to: z.int().positive().optional() }),
]);
export type TerminalUpMessage = z.infer<typeof terminalUpMessageSchema>;

export const terminalDownMessageSchema = z.discriminatedUnion('type', [
  /** `reader`: the own `id`. `end`: what was printed so far; output up to there is replayed. */
  z.object({
    type: z.literal('attached'),
    reader: z.int().positive(),
    from: z.int().min(0),
    end: z.int().min(0),
  }),
  /** `taken`: how many `take`s of this attachment were dealt with before. */
  z.object({ type: z.literal('situation'), ...situationFields, taken: z.int().min(0) }),
  /** The bytes from `from` up to `to` are gone; output goes on at `to`. */
  z.object({ type: z.literal('lost'), from: z.int().min(0), to: z.int().min(0) }),
  /** `bytes` of the input of this attachment were taken in all. */
  z.object({ type: z.literal('accepted'), bytes: z.int().min(0) }),
  z.object({ type: z.literal('exited'), ...exitFields }),
  /** `error`: an ErrorBody. */
  z.object({ type: z.literal('ended'), error: z.unknown() }),
]);
export type TerminalDownMessage = z.infer<typeof terminalDownMessageSchema>;
