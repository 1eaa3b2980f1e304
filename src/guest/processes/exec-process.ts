import type { ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../kernel/clock.ts';
import type { ExecRequest, ExecResult } from '../../wire/contract/processes.ts';
import type { OutputStream } from '../../wire/output-frames.ts';
import { answerJson } from '../inward-call.ts';
import { abandon, endAfter } from './end-process.ts';
import type { OutputSink } from './managed-process.ts';
import { OutputLog } from './output-log.ts';
import type { ProcessTable } from './process-table.ts';

/** Runs a process to its end and answers what came of it. A caller who goes takes the process along. */
export async function execProcess(
  stream: ServerHttp2Stream,
  request: ExecRequest,
  { table, clock }: { readonly table: ProcessTable; readonly clock: Clock },
): Promise<void> {
  const { input, timeoutMs, maxOutputBytes } = request;
  const began = clock.elapsed();
  const sink = new TailSink(maxOutputBytes);
  const managed = await table.launch(request, { kind: 'exec', keepInput: input !== undefined, sink });
  const leave = (): void => abandon(managed, clock);
  if (stream.destroyed) leave();
  else stream.once('close', leave);
  if (input !== undefined) managed.child.stdin.end(Buffer.from(input, 'base64'));
  endAfter(managed, timeoutMs, clock);
  await managed.over;
  stream.off('close', leave);
  answerJson(stream, {
    ...managed.exit,
    durationMs: clock.elapsed() - began,
    stdout: sink.tail('stdout'),
    stderr: sink.tail('stderr'),
  } satisfies ExecResult);
}

/** The last bytes of each output; the process never waits. */
class TailSink implements OutputSink {
  readonly kept = { start: 0, end: 0 };
  readonly #logs: Readonly<Record<OutputStream, OutputLog>>;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
    this.#logs = { stdout: new OutputLog(limit), stderr: new OutputLog(limit) };
  }

  write(stream: OutputStream, chunk: Buffer): boolean {
    this.#logs[stream].push(stream, chunk);
    return true;
  }

  tail(stream: OutputStream): { readonly data: string; readonly lost: number } {
    const { lost, pieces } = this.#logs[stream].read(0, this.#limit);
    return { data: Buffer.concat(pieces.map(({ data }) => data)).toString('base64'), lost };
  }
}
