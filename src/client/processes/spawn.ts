import type { AttachDownMessage, AttachStart, AttachUpMessage } from '../../controlplane/api/schemas/process-socket.ts';
import { CaissonError, readErrorBody } from '../../kernel/errors.ts';
import type { ProcessSignal } from '../api.ts';
import type { Calls } from '../calls.ts';
import { type Endpoint, socketClosed, socketRefused, unreachable } from '../endpoint.ts';
import { LiveSocket } from '../live-socket.ts';
import { OutputQueue } from '../output-queue.ts';
import { InputSink } from './input-sink.ts';
import type { ProcessEnd, RemoteProcess, SpawnOptions } from './remote-process.ts';

/** As the server has them: `attachWindows`. */
const outputWindowBytes = 4 * 1024 * 1024;
const inputWindowBytes = 1024 * 1024;
/** How often the server is told what was read. */
const takenEveryBytes = outputWindowBytes / 8;

const stderrTag = 2;

/**
 * Starts a process in an agent's sandbox and resolves with its streams when it runs; the sandbox is brought up where needed. It
 * lives as long as the connection: leaving it kills it. Rejects with AGENT_NOT_FOUND, PROCESS_NOT_STARTED (`details.reason` is the
 * system's, such as ENOENT), LIMIT_REACHED, FILE_NOT_FOUND for a folder that is not there, and what else the control plane says.
 */
export function spawn(
  endpoint: Endpoint,
  calls: Pick<Calls, 'agents'>,
  { agentId, signal, ...request }: SpawnOptions,
): Promise<RemoteProcess> {
  const started = Promise.withResolvers<RemoteProcess>();
  const exit = Promise.withResolvers<ProcessEnd>();
  exit.promise.catch(() => undefined); // its reader may come late, or never
  if (signal?.aborted === true) {
    started.reject(left());
    return started.promise;
  }
  const tell = (message: AttachUpMessage | AttachStart): void => socket.send(JSON.stringify(message));

  let taken = 0;
  let told = 0;
  const onTaken = (bytes: number): void => {
    taken += bytes;
    if (taken - told < takenEveryBytes) return;
    told = taken;
    tell({ type: 'taken', bytes: told });
  };
  const outputs = { stdout: new OutputQueue(), stderr: new OutputQueue() };
  const input = new InputSink({
    window: inputWindowBytes,
    send: (bytes) => socket.send(copied(bytes)),
    end: () => tell({ type: 'end' }),
  });

  let isSettled = false;
  const settle = (error?: CaissonError): void => {
    isSettled = true;
    for (const output of Object.values(outputs)) output.end(error);
    input.close(error);
    signal?.removeEventListener('abort', leave);
    if (error !== undefined) {
      started.reject(error);
      exit.reject(error);
    }
  };
  const leave = (): void => {
    if (!isSettled) settle(left());
    socket.close();
  };
  signal?.addEventListener('abort', leave);

  const kill = (name: ProcessSignal = 'SIGTERM'): void => tell({ type: 'signal', signal: name });
  const hear = (message: AttachDownMessage): void => {
    switch (message.type) {
      case 'started':
        started.resolve({
          process: message.process,
          stdin: input.stream,
          stdout: outputs.stdout.stream,
          stderr: outputs.stderr.stream,
          exit: exit.promise,
          kill,
          close: leave,
          [Symbol.asyncDispose]: async () => leave(),
        });
        return;
      case 'alive':
        return;
      case 'taken':
        input.taken(message.bytes);
        return;
      case 'exited': {
        const { type: _, ...end } = message;
        exit.resolve(end);
        settle();
        return;
      }
      case 'failed':
        settle(readErrorBody(message.error) ?? new CaissonError('INTERNAL', message.error.message));
        return;
    }
  };
  const socket = new LiveSocket(endpoint, {
    path: `/v1/agents/${encodeURIComponent(agentId)}/processes/attach`,
    onOpen: () => tell({ ...request, command: [...request.command], type: 'start' }),
    onText: (text) => {
      if (!isSettled) hear(JSON.parse(text) as AttachDownMessage);
    },
    onBytes: (data) => {
      if (isSettled) return;
      const bytes = new Uint8Array(data);
      const payload = bytes.subarray(1);
      outputs[bytes[0] === stderrTag ? 'stderr' : 'stdout'].push(payload, () => onTaken(payload.length));
    },
    onEnd: ({ code, reason, wasOpen, silence }) => {
      if (isSettled) return;
      if (silence !== undefined) return settle(silence);
      if (!wasOpen) return void whyRefused(endpoint, calls, agentId).then(settle);
      settle(socketClosed(code, reason) ?? unreachable(endpoint.url, 'the connection to the process broke off'));
    },
  });
  return started.promise;
}

/** Nobody is told why a WebSocket was refused; the same key on the same agent tells, and so does a control plane that can store nothing. */
async function whyRefused(endpoint: Endpoint, calls: Pick<Calls, 'agents'>, agentId: string): Promise<CaissonError> {
  try {
    await calls.agents.get.query({ agentId });
    const { status } = await endpoint.fetch(`${endpoint.url}/healthz`, {
      signal: AbortSignal.timeout(endpoint.callMs),
    });
    if (status !== 503) return socketRefused(endpoint.url);
    return new CaissonError(
      'STORAGE_UNAVAILABLE',
      'The control plane can store nothing at present, so it begins nothing.',
    );
  } catch (thrown) {
    return thrown instanceof CaissonError ? thrown : socketRefused(endpoint.url);
  }
}

function left(): CaissonError {
  return new CaissonError('ABORTED', 'The process was left before its end.');
}

/** The platform may send later than it is asked to, and the bytes are the caller's. */
function copied(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
