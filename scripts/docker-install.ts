import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { delimiter } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { aptInstall, whyNoApt } from './apt.ts';
import { ExpectedError } from './expected-error.mjs';
import { findProgram, runCommand } from './run-command.ts';

const engineLog = '/var/log/dockerd.log';
const pidFile = '/var/run/docker.pid';
/** A first start on a slow machine takes about 10 s. */
const startDeadlineMs = 60_000;
const pollMs = 250;

/** Undefined where `installDockerEngine` can work, else what stands in the way. */
export function whyNotInstallable(): string | undefined {
  return whyNoApt();
}

/** Installs Debian's docker.io unless dockerd is there already. */
export async function installDockerEngine(log: (line: string) => void): Promise<void> {
  if (findProgram('dockerd') !== undefined) return;
  log('no Docker engine answers: installing docker.io with apt-get (about 30 s)');
  await aptInstall(['docker.io']);
}

/**
 * Starts the installed engine, by systemd where that runs, else as a daemon of its own that outlives this process and writes
 * to /var/log/dockerd.log. Resolves when `answers` does; rejects after 60 s, or as soon as the engine has given up.
 */
export async function startDockerEngine(log: (line: string) => void, answers: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  // The installation may have started it.
  if (await answers()) return;
  if (existsSync('/run/systemd/system')) {
    log('starting the Docker engine with systemctl (about 6 s)');
    await runCommand({ program: 'systemctl', args: ['start', 'docker'], purpose: 'start the Docker engine' });
    return waitForEngine(answers, deadline, () => undefined);
  }
  if (engineIsStarting()) {
    log('waiting for the Docker engine that is starting');
    return waitForEngine(answers, deadline, () => undefined);
  }
  log(`starting the Docker engine (about 6 s); it goes on after this, and its log is ${engineLog}`);
  // Left by an engine that died: a new one would refuse to start if another process got its id since.
  rmSync(pidFile, { force: true });
  const output = openSync(engineLog, 'a');
  const engine = spawn(findProgram('dockerd') ?? 'dockerd', [], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
    env: { ...process.env, PATH: [process.env['PATH'], '/usr/sbin', '/sbin'].join(delimiter) },
  });
  closeSync(output);
  let end: string | undefined;
  engine.once('error', (error) => (end = error.message));
  engine.once('exit', (code, signal) => (end = `exit ${code ?? signal}`));
  engine.unref();
  return waitForEngine(answers, deadline, () => end);
}

async function waitForEngine(
  answers: () => Promise<boolean>,
  deadline: number,
  end: () => string | undefined,
): Promise<void> {
  while (!(await answers())) {
    const reason = end() ?? (Date.now() > deadline ? `no answer in ${startDeadlineMs / 1000} s` : undefined);
    if (reason !== undefined) {
      throw new ExpectedError(`the Docker engine did not start (${reason}).\n${lastLines(engineLog)}`.trimEnd());
    }
    await delay(pollMs);
  }
}

function engineIsStarting(): boolean {
  if (!existsSync(pidFile)) return false;
  const nameFile = `/proc/${readFileSync(pidFile, 'utf8').trim()}/comm`;
  return existsSync(nameFile) && readFileSync(nameFile, 'utf8').trim() === 'dockerd';
}

function lastLines(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-8).join('\n') : '';
}
