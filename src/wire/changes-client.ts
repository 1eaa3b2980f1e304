import type { ClientHttp2Session } from 'node:http2';
import {
  changesPaths,
  type Checkpoint,
  checkpointsSchema,
  type DiffPage,
  diffPageSchema,
  type DiffRequest,
  type RestoreReport,
  restoreReportSchema,
  type RestoreRequest,
  type StatusPage,
  statusPageSchema,
  type StatusRequest,
} from './contract/changes.ts';
import { requestJson } from './requests.ts';

/** A first look at a large workspace reads every file of it. */
const timeoutMs = 120_000;
/** Half a megabyte of paths, and what is left out, which JSON may write six times as long. */
const maxStatusBytes = 10 * 1024 * 1024;
/** The same with a megabyte of patches. */
const maxDiffBytes = 20 * 1024 * 1024;
/** A hundred checkpoints, with the names of what they leave out. */
const maxCheckpointBytes = 12 * 1024 * 1024;
/** 500 changes of eleven fields, or 100 checkpoints of 200 files that are left out. */
const shape = { marks: 100_000, depth: 8 };

/** What the agent changed, asked of its guest. A signal that aborts ends the work there. */
export class ChangesClient {
  readonly #session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** The newest first, the failed ones too. */
  async checkpoints(signal?: AbortSignal): Promise<readonly Checkpoint[]> {
    const { checkpoints } = await requestJson(this.#session, {
      method: 'GET',
      path: changesPaths.checkpoints,
      answer: checkpointsSchema,
      maxAnswerBytes: maxCheckpointBytes,
      shape,
      signal,
    });
    return checkpoints;
  }

  /** Rejects with CHECKPOINT_NOT_FOUND, NO_REPOSITORY, DISK_FULL, GIT_FAILED or LIMIT_REACHED. */
  status(body: StatusRequest, signal?: AbortSignal): Promise<StatusPage> {
    return requestJson(this.#session, {
      method: 'POST',
      path: changesPaths.status,
      body,
      answer: statusPageSchema,
      maxAnswerBytes: maxStatusBytes,
      shape,
      timeoutMs,
      signal,
    });
  }

  /** Rejects as `status` does. */
  diff(body: DiffRequest, signal?: AbortSignal): Promise<DiffPage> {
    return requestJson(this.#session, {
      method: 'POST',
      path: changesPaths.diff,
      body,
      answer: diffPageSchema,
      maxAnswerBytes: maxDiffBytes,
      shape,
      timeoutMs,
      signal,
    });
  }

  /** Rejects with RUN_UNDER_WAY as well. Goes on in the guest when nobody waits for it any more. */
  restore(body: RestoreRequest): Promise<RestoreReport> {
    return requestJson(this.#session, {
      method: 'POST',
      path: changesPaths.restore,
      body,
      answer: restoreReportSchema,
      timeoutMs: 10 * 60_000,
      maxAnswerBytes: maxStatusBytes,
      shape,
    });
  }
}
