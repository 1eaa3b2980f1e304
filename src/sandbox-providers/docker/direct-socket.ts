import { once } from 'node:events';
import { constants, lstatSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { orAbort } from '../../kernel/deadline.ts';
import { guestRunDirectory } from '../../wire/contract/guest-api.ts';
import type { WireChannel } from '../contract/sandbox-provider.ts';

/** Linux's O_PATH, for which Node has no name: the file itself, whatever it is, unopened. */
const unopened = 0o10000000;

/** After so many looks at the path in vain it is asked again whether the container is still there. */
const looksInARow = 40;

interface DirectSocketRequest {
  readonly containerId: string;
  /** Of the container's first process, as the engine tells it. */
  readonly pid: number;
  readonly channel: WireChannel;
  /** Between two looks whether the guest listens. */
  readonly intervalMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The guest's socket in a container of this machine, opened through the container's files as the kernel shows them, once
 * the guest listens. It saves the pipe: a process in the sandbox and 40 ms of the engine's work for each channel, and two
 * processes that every byte passes.
 *
 * Undefined where there is no such way, or no longer: the engine is on another machine or in another namespace of
 * processes, this process may not look into the container, or the container has stopped.
 *
 * The sandbox is not trusted with what lies at the path. A link is not followed: it would be looked up among the files of
 * this machine. What is connected to is the very socket that was looked at.
 */
export async function openDirectSocket(request: DirectSocketRequest): Promise<Socket | undefined> {
  const { containerId, pid, channel, intervalMs, signal } = request;
  const path = `/proc/${pid}/root${guestRunDirectory}/${channel}.sock`;
  while (await isProcessOf(containerId, pid)) {
    const found = await tryOpen(path);
    if (found !== 'not yet') return found;
    await comesToBe(path, intervalMs, signal);
  }
  return undefined;
}

/** Resolves when there is something at the path, or after many looks in vain. Rejects with the signal's reason. */
async function comesToBe(path: string, intervalMs: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let looks = 0;
  const timer = setInterval(() => {
    if (isSomethingAt(path) || ++looks === looksInARow) resolve();
  }, intervalMs);
  try {
    await (signal ? orAbort(promise, signal) : promise);
  } finally {
    clearInterval(timer);
  }
}

/** In a few microseconds: no disk is waited for, and Node's threads, and an error that they make, would take a hundred times as long. */
function isSomethingAt(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true; // who opens it will know what is wrong
  }
}

/** The engine puts every process of a container into a control group that carries the container's id. */
async function isProcessOf(containerId: string, pid: number): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/cgroup`, 'utf8')).includes(containerId);
  } catch {
    return false; // there is no such process here
  }
}

async function tryOpen(path: string): Promise<Socket | 'not yet' | undefined> {
  try {
    await using file = await open(path, unopened | constants.O_NOFOLLOW);
    if (!(await file.stat()).isSocket()) return undefined;
    const socket = connect(`/proc/self/fd/${file.fd}`);
    socket.on('error', () => undefined); // also emits 'close', which whoever takes it over watches
    await once(socket, 'connect');
    return socket;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    // Any other failure is for the pipe, which can do without this way or knows better what is wrong.
    return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'not yet' : undefined;
  }
}
