import type { ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../kernel/clock.ts';
import { type AttachRequest, processHeader } from '../../wire/contract/processes.ts';
import { encodeHeaderJson } from '../../wire/header-json.ts';
import { frameHead } from '../../wire/output-frames.ts';
import { abandon, endAfter } from './end-process.ts';
import type { ManagedProcess, OutputSink } from './managed-process.ts';
import type { ProcessTable } from './process-table.ts';

/**
 * Starts a process between the two halves of a stream: input raw, output in frames, the exit in the trailer. A full stream
 * holds the process back, so nothing is lost. A caller who goes takes the process along.
 */
export async function attachProcess(
  stream: ServerHttp2Stream,
  request: AttachRequest,
  { table, clock }: { readonly table: ProcessTable; readonly clock: Clock },
): Promise<void> {
  const sink: OutputSink = {
    kept: { start: 0, end: 0 },
    write(output, chunk) {
      if (stream.destroyed) return true; // it is being killed
      stream.cork();
      stream.write(frameHead(output, chunk.length));
      const hasRoom = stream.write(chunk);
      stream.uncork();
      return hasRoom;
    },
  };
  const managed = await table.launch(request, { kind: 'attached', keepInput: true, sink });
  const leave = (): void => abandon(managed, clock);
  if (stream.destroyed) {
    leave();
    return;
  }
  stream.once('close', leave);
  stream.on('drain', () => managed.resume());
  answer(stream, managed);
  const { stdin } = managed.child;
  stdin.once('close', () => stream.resume()); // what is left of the input has no reader
  stream.pipe(stdin);
  if (request.timeoutMs !== undefined) endAfter(managed, request.timeoutMs, clock);
  await managed.over;
  stream.end();
}

function answer(stream: ServerHttp2Stream, managed: ManagedProcess): void {
  stream.once('wantTrailers', () => stream.sendTrailers({ [processHeader]: encodeHeaderJson(managed.exit) }));
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/vnd.caisson.output',
      [processHeader]: encodeHeaderJson(managed.info()),
    },
    { waitForTrailers: true },
  );
}
