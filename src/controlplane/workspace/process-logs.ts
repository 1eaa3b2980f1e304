import type { ProcessId } from '../../kernel/ids.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { OutputPiece } from '../../wire/output-frames.ts';
import type { LogBatch } from '../api/schemas/process.ts';
import { encodeBytes } from './encoded-bytes.ts';

interface LogRequest {
  readonly processId: ProcessId;
  readonly after: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

type Chunk = LogBatch['chunks'][number];

/** The log of a background process in the form of the API: batches of what has come, then one that tells the end. */
export async function* readProcessLogs(
  guest: GuestClient,
  { processId, after, follow, signal }: LogRequest,
): AsyncGenerator<LogBatch, void> {
  const log = await guest.processes.logs(processId, { after, follow, signal });
  let next = after;
  const batches = log.read();
  try {
    for (;;) {
      const { done, value } = await batches.next();
      if (done === true) {
        yield { lost: 0, chunks: [], next, ended: value };
        return;
      }
      for (const batch of splitAtGaps(value, next)) {
        next = batch.next;
        yield batch;
      }
    }
  } finally {
    await batches.return(log.info);
  }
}

function* splitAtGaps(pieces: readonly OutputPiece[], from: number): Generator<LogBatch> {
  let next = from;
  let lost = 0;
  let chunks: Chunk[] = [];
  for (const piece of joined(pieces)) {
    if (piece.stream === 'gap') {
      if (chunks.length > 0) yield { lost, chunks, next, ended: null };
      lost = chunks.length > 0 ? piece.lost : lost + piece.lost;
      chunks = [];
      next += piece.lost;
    } else {
      chunks.push({ stream: piece.stream, offset: next, ...encodeBytes(piece.data) });
      next += piece.data.length;
    }
  }
  if (chunks.length > 0 || lost > 0) yield { lost, chunks, next, ended: null };
}

/** Neighbours of one stream as one piece: how the bytes were cut on their way means nothing. */
function joined(pieces: readonly OutputPiece[]): OutputPiece[] {
  const whole: OutputPiece[] = [];
  for (const piece of pieces) {
    const last = whole.at(-1);
    if (last !== undefined && last.stream !== 'gap' && piece.stream === last.stream) {
      whole[whole.length - 1] = { stream: last.stream, data: Buffer.concat([last.data, piece.data]) };
    } else whole.push(piece);
  }
  return whole;
}
