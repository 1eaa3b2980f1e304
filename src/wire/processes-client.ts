import type { ClientHttp2Session } from 'node:http2';
import * as z from 'zod';
import type { ProcessId } from '../kernel/ids.ts';
import { type AttachedProcess, attachProcess } from './attached-process.ts';
import {
  type AttachRequest,
  type ExecRequest,
  type ExecResult,
  execResultSchema,
  inputAnswerSchema,
  type KillAnswer,
  killAnswerSchema,
  type KillRequest,
  type ProcessInfo,
  processInfoSchema,
  type ProcessList,
  processListSchema,
  processPaths,
  type SignalName,
  type StartRequest,
} from './contract/processes.ts';
import { type ProcessLog, openProcessLog } from './process-log.ts';
import { type JsonRequest, requestJson } from './requests.ts';

const nothingSchema = z.object({});

/** Beside what a process itself may take: the time of the calls around it, and from its time-out to its end. */
const extraMs = 30_000;

/** A list with the longest tree. */
const maxListBytes = 8 * 1024 * 1024;

/** The guest's processes over one inward session. Needs no lease. Every call rejects with WIRE_LOST once that is gone. */
export class ProcessesClient {
  readonly #session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** Runs a process to its end. It is killed when `signal` aborts, or the wire breaks. */
  async exec(request: ExecRequest, signal?: AbortSignal): Promise<ExecResult> {
    const { maxOutputBytes, timeoutMs } = request;
    return await this.#ask({
      method: 'POST',
      path: processPaths.exec,
      use: 'wait',
      body: request,
      answer: execResultSchema,
      timeoutMs: timeoutMs + extraMs,
      maxAnswerBytes: 3 * maxOutputBytes + 64 * 1024, // two outputs as base64, which adds a third
      signal,
    });
  }

  /** Starts a process whose input and output are streams. It is killed when `signal` aborts, or the wire breaks. */
  attach(request: AttachRequest, signal?: AbortSignal): Promise<AttachedProcess> {
    return attachProcess(this.#session, request, signal);
  }

  /** Starts a process in the background. It outlives this session. */
  start(request: StartRequest): Promise<ProcessInfo> {
    return this.#ask({ method: 'POST', path: processPaths.all, body: request, answer: processInfoSchema });
  }

  list(signal?: AbortSignal): Promise<ProcessList> {
    const maxAnswerBytes = maxListBytes;
    return this.#ask({ method: 'GET', path: processPaths.all, answer: processListSchema, maxAnswerBytes, signal });
  }

  get(id: ProcessId): Promise<ProcessInfo> {
    return this.#ask({ method: 'GET', path: processPaths.one(id), answer: processInfoSchema });
  }

  /** The process at its end, or as it is after `timeoutMs`. */
  wait(id: ProcessId, timeoutMs: number, signal?: AbortSignal): Promise<ProcessInfo> {
    const path = `${processPaths.wait(id)}?timeoutMs=${timeoutMs}`;
    return this.#ask({
      method: 'GET',
      path,
      use: 'wait',
      answer: processInfoSchema,
      timeoutMs: timeoutMs + extraMs,
      signal,
    });
  }

  /** Writes to its input, then ends that where `end` says so. Resolves with the bytes that it has not read yet. */
  async write(id: ProcessId, data: Uint8Array, end: boolean): Promise<{ readonly waitingBytes: number }> {
    const body = { data: Buffer.from(data).toString('base64'), end };
    return await this.#ask({ method: 'POST', path: processPaths.input(id), body, answer: inputAnswerSchema });
  }

  /** Signals the process and its group. */
  async signal(id: ProcessId, signal: SignalName): Promise<void> {
    await this.#ask({ method: 'POST', path: processPaths.signal(id), body: { signal }, answer: nothingSchema });
  }

  /** Signals one process of the sandbox, whoever started it. */
  async signalPid(pid: number, signal: SignalName): Promise<void> {
    await this.#ask({ method: 'POST', path: processPaths.signalPid, body: { pid, signal }, answer: nothingSchema });
  }

  /** Ends a process with all that it started. Resolves when they are gone. */
  kill(request: KillRequest): Promise<KillAnswer> {
    const timeoutMs = request.graceMs + extraMs;
    return this.#ask({ method: 'POST', path: processPaths.kill, body: request, answer: killAnswerSchema, timeoutMs });
  }

  /** The output of a background process from a byte of it on. BAD_REQUEST for one after its end. */
  logs(
    id: ProcessId,
    options: { readonly after: number; readonly follow: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<ProcessLog> {
    return openProcessLog(this.#session, id, options);
  }

  #ask<Answer>(request: JsonRequest<Answer>): Promise<Answer> {
    return requestJson(this.#session, request);
  }
}
