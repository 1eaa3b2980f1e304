import type { ServerHttp2Stream } from 'node:http2';
import { CaissonError } from '../../kernel/errors.ts';
import { processHeader } from '../../wire/contract/processes.ts';
import { encodeHeaderJson } from '../../wire/header-json.ts';
import { frameHead, gapFrame } from '../../wire/output-frames.ts';
import type { BackgroundOutput } from './background-output.ts';
import type { ManagedProcess } from './managed-process.ts';

/** How much is handed to the stream at once: what is not handed out may still be dropped for a slow reader. */
const batchBytes = 64 * 1024;

interface LogStreamOptions {
  readonly process: ManagedProcess;
  readonly output: BackgroundOutput;
  readonly after: number;
  /** Whether to go on until the output ends, or to stop at what is there. */
  readonly follow: boolean;
}

/**
 * Sends a background process's output from `after` on, in frames, and the process in the trailer. A reader that is too slow
 * is told what it lost. Throws CURSOR_AHEAD, before anything is sent, for a place that the output has not reached.
 */
export function streamLog(stream: ServerHttp2Stream, { process, output, after, follow }: LogStreamOptions): void {
  const { log } = output;
  if (after > log.end) {
    throw new CaissonError('CURSOR_AHEAD', `The output of ${process.id} has ${log.end} bytes, not ${after}.`, {
      details: { after, end: log.end },
    });
  }
  const until = follow ? Number.POSITIVE_INFINITY : log.end;
  let next = after;
  let state: 'idle' | 'scheduled' | 'blocked' | 'ended' = 'idle';
  const end = (): void => {
    state = 'ended';
    unwatch();
    stream.end();
  };
  const flush = (): void => {
    if (state !== 'scheduled') return;
    state = 'idle';
    while (next < log.end && next < until) {
      const { lost, pieces, next: reached } = log.read(next, batchBytes);
      next = reached;
      stream.cork();
      let hasRoom = lost === 0 || stream.write(gapFrame(lost));
      for (const { stream: name, data } of pieces) {
        stream.write(frameHead(name, data.length));
        hasRoom = stream.write(data);
      }
      stream.uncork();
      if (hasRoom) continue;
      state = 'blocked';
      return;
    }
    if (next >= until || (output.isEnded && next >= log.end)) end();
  };
  const schedule = (): void => {
    if (state !== 'idle') return;
    state = 'scheduled';
    setImmediate(flush);
  };
  const unwatch = output.watch(schedule);
  stream.on('drain', () => {
    if (state !== 'blocked') return;
    state = 'scheduled';
    flush();
  });
  stream.once('close', () => {
    state = 'ended';
    unwatch();
  });
  stream.once('wantTrailers', () => stream.sendTrailers({ [processHeader]: encodeHeaderJson(process.info()) }));
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/vnd.caisson.output',
      [processHeader]: encodeHeaderJson(process.info()),
    },
    { waitForTrailers: true },
  );
  schedule();
}
