import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Readable, Writable } from 'node:stream';
import type { AnyMessage, Stream } from '@agentclientprotocol/sdk/unstable';
import { errorText } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { LineReader } from './lines.ts';

/** Longest line that a harness may send: 32 MiB, as in the SDK. A longer one ends the connection. */
const longestLine = 32 * 1024 * 1024;

export interface StdioStreamOptions {
  readonly stdout: Readable;
  readonly stdin: Writable;
  /** Asked, and awaited, before each line is read. While it is pending the program's output fills its pipe and the program waits. */
  readonly room: () => Promise<void> | undefined;
  /** Called in order with the `params` of every `session/update`, before anything that follows it is read. */
  readonly onUpdate: (params: unknown) => void;
  readonly logger: Logger;
}

export interface StdioStream extends Stream {
  /** Whether the next line waits for room, so that the program's silence is not its own. */
  readonly isHeld: boolean;
}

/**
 * ACP over a program's stdio, read no faster than its reader has room. The SDK reads eagerly and drops updates that it
 * does not know, so the bound lies before it, and `session/update`s never reach it. A message that does reach it has
 * been handled, up to its first wait, before the next line is read: so events keep the order of the harness.
 * Lines that are not JSON objects are skipped and logged.
 */
export function stdioStream({ stdout, stdin, room, onUpdate, logger }: StdioStreamOptions): StdioStream {
  const lines = new LineReader(stdout, longestLine);
  let isHeld = false;
  let isCanceled = false;
  let skipped = 0;

  const skip = (line: string): void => {
    skipped += 1;
    // Every power of two, so that a program that only prints noise does not flood the log.
    if ((skipped & (skipped - 1)) === 0) {
      logger.warn({ line: line.slice(0, 200), skipped }, 'skipped a line of the harness that is no message');
    }
  };

  const hold = async (room: Promise<void>): Promise<void> => {
    isHeld = true;
    await room;
    isHeld = false;
  };

  const nextLine = async (): Promise<string | undefined> => {
    try {
      return await lines.next();
    } catch (error) {
      if (!isCanceled) logger.error({ error: errorText(error) }, 'cannot read on from the harness');
      stdout.destroy();
      return undefined;
    }
  };

  const readable = new ReadableStream<AnyMessage>(
    {
      async pull(controller) {
        await nextTurn(); // lets the SDK and its callers act on the message before
        for (;;) {
          const waiting = room();
          if (waiting !== undefined) await hold(waiting);
          if (isCanceled) return;
          const line = lines.ready() ?? (await nextLine());
          if (line === undefined) break;
          if (line.trim() === '') continue;
          const message = parseMessage(line);
          if (message === undefined) {
            skip(line);
          } else if (isSessionUpdate(message)) {
            deliver(message.params, onUpdate, logger);
          } else {
            controller.enqueue(message);
            return;
          }
        }
        if (!isCanceled) controller.close();
      },
      async cancel() {
        isCanceled = true;
        stdout.destroy();
      },
    },
    { highWaterMark: 0 },
  );

  const writable = new WritableStream<AnyMessage>({
    write: (message) =>
      new Promise((resolve, reject) => {
        stdin.write(`${JSON.stringify(message)}\n`, (error) => (error == null ? resolve() : reject(error)));
      }),
  });

  return {
    readable,
    writable,
    get isHeld() {
      return isHeld;
    },
  };
}

function parseMessage(line: string): AnyMessage | undefined {
  try {
    const value: unknown = JSON.parse(line);
    // The SDK checks the rest of the shape, and answers what is no JSON-RPC.
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as AnyMessage) : undefined;
  } catch {
    return undefined; // the caller logs it
  }
}

function isSessionUpdate(message: AnyMessage): message is AnyMessage & { readonly params: unknown } {
  return 'method' in message && message.method === 'session/update' && !('id' in message);
}

/** A defect in handling one update must not end the harness. */
function deliver(params: unknown, onUpdate: (params: unknown) => void, logger: Logger): void {
  try {
    onUpdate(params);
  } catch (error) {
    logger.error({ error: errorText(error) }, 'could not handle an update of the harness');
  }
}
