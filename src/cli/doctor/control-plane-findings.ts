import type { ControlPlane, SandboxCounts, SystemOverview } from '../../client/index.ts';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { adminKeyFile, connect, controlPlaneUrl } from '../connection.ts';
import { hintOf } from '../hint.ts';
import { packageVersion } from '../version.ts';
import { diskFinding } from './disk-finding.ts';
import type { Finding } from './finding.ts';

interface ControlPlaneFindings {
  readonly findings: Finding[];
  /** Whether the control plane runs on another machine. */
  readonly isElsewhere: boolean;
  /** Whether it told what it is. */
  readonly isServing: boolean;
  /** Whether it told what is left on its disks. */
  readonly isDiskKnown: boolean;
}

/** Each question waits as long. */
const patienceMs = 10_000;

type Environment = Readonly<Record<string, string | undefined>>;

export async function examineControlPlane(environment: Environment): Promise<ControlPlaneFindings> {
  const url = controlPlaneUrl(environment);
  const isElsewhere = isRemote(url);
  const isNamed = (environment['CAISSON_URL'] ?? '') !== '';
  const reached = await reach(environment);
  if ('about' in reached) {
    const { about, sandboxes, disk } = reached;
    return {
      findings: [
        (await notServing(url)) ?? serving(url, about),
        keyOf(about),
        modelOf(about),
        ...(sandboxes === undefined ? [] : sandboxesOf(sandboxes)),
        ...(disk === undefined ? [] : [diskOf(disk)]),
      ],
      isElsewhere,
      isServing: true,
      isDiskKnown: disk !== undefined,
    };
  }
  const { error } = reached;
  const rest = { isElsewhere, isServing: false, isDiskKnown: false };
  switch (error.code) {
    case 'CONTROL_PLANE_UNREACHABLE':
      return { findings: [absent(error, url, isNamed), keyUntried(environment)], ...rest };
    case 'ABORTED':
      return { findings: [standingStill(url), keyUntried(environment)], ...rest };
    case 'UNAUTHORIZED': {
      const controlPlane = await answering(url, isNamed);
      const isFirst = controlPlane.state === 'note';
      const missing = {
        what: 'API key',
        state: 'missing',
        says: error.message,
        remedy: hintOf(error, { environment }),
      } as const;
      return { findings: [controlPlane, isFirst ? keyBeforeStart(environment) : missing], ...rest };
    }
    default:
      return {
        findings: [
          { what: 'control plane', state: 'missing', says: error.message, remedy: hintOf(error, { environment }) },
        ],
        ...rest,
      };
  }
}

async function reach(
  environment: Environment,
): Promise<
  | { about: ControlPlane; sandboxes: SandboxCounts | undefined; disk: SystemOverview['disk'] | undefined }
  | { error: CaissonError }
> {
  try {
    const client = await connect(environment);
    const options = { signal: AbortSignal.timeout(patienceMs) };
    const about = await client.system.version.query(undefined, options);
    // One of another version, of which the findings tell, may not know them.
    const sandboxes = await client.system.sandboxes.query(undefined, options).catch(() => undefined);
    // For administrators and auditors.
    const overview = await client.admin.overview.query(undefined, options).catch(() => undefined);
    return { about, sandboxes, disk: overview?.disk };
  } catch (thrown) {
    if (thrown instanceof CaissonError) return { error: thrown };
    throw thrown;
  }
}

/** Without a working key one can still see whether somebody is there. */
async function answering(url: string, isNeeded: boolean): Promise<Finding> {
  const { createCaissonClient } = await import('../../client/index.ts');
  const client = createCaissonClient({ url, apiKey: 'none' });
  try {
    await client.system.health.query(undefined, { signal: AbortSignal.timeout(patienceMs) });
    return (await notServing(url)) ?? { what: 'control plane', state: 'ok', says: `answers at ${url}` };
  } catch (thrown) {
    if (thrown instanceof CaissonError) return absent(thrown, url, isNeeded);
    throw thrown;
  }
}

/** The finding of one that answers and cannot do its work. */
async function notServing(url: string): Promise<Finding | undefined> {
  const problem = await healthProblem(url);
  if (problem === undefined) return undefined;
  return {
    what: 'control plane',
    state: 'missing',
    says: `answers at ${url} and does not serve: ${problem}`,
    remedy: 'Look at its log, and whether the disk of its data directory is full.',
  };
}

async function healthProblem(url: string): Promise<string | undefined> {
  try {
    const { status } = await fetch(`${url.replace(/\/+$/, '')}/healthz`, { signal: AbortSignal.timeout(patienceMs) });
    return status < 500 ? undefined : `its health check fails (${status})`; // a proxy may pass on only the API
  } catch (thrown) {
    return `its health check is not answered (${errorText(thrown)})`;
  }
}

function diskOf({ data, sandboxes }: SystemOverview['disk']): Finding {
  const ofSandboxes = sandboxes === null ? [] : [{ freeBytes: sandboxes.freeBytes, what: 'its sandboxes' }];
  return diskFinding([{ freeBytes: data.freeBytes, what: "the control plane's data directory" }, ...ofSandboxes]);
}

function serving(url: string, { version }: ControlPlane): Finding {
  const own = packageVersion();
  if (version === own) return { what: 'control plane', state: 'ok', says: `${version} at ${url}` };
  return {
    what: 'control plane',
    state: 'note',
    says: `${version} at ${url}, but this command line is ${own}`,
    remedy: 'Use the same version of both.',
  };
}

function keyOf({ principal }: ControlPlane): Finding {
  return { what: 'API key', state: 'ok', says: `valid: you are ${principal.userName} (${principal.role})` };
}

function modelOf({ model }: ControlPlane): Finding {
  if (!model.demo) return { what: 'model', state: 'ok', says: model.name };
  return {
    what: 'model',
    state: 'note',
    says: 'the demo model: a script answers',
    remedy: 'Start the control plane with OPENAI_API_KEY for a real one.',
  };
}

/** None where there are no agents. */
function sandboxesOf({ failed, unattached, ...well }: SandboxCounts): Finding[] {
  const counts = Object.entries({ failed, 'not attached': unattached, ...well }).filter(([, count]) => count > 0);
  if (counts.length === 0) return [];
  const finding = { what: 'sandboxes', says: counts.map(([state, count]) => `${count} ${state}`).join(', ') };
  if (failed + unattached === 0) return [{ ...finding, state: 'ok' }];
  const remedy = "Look at `caisson agents list`, at an agent's `caisson events`, and at the control plane's log.";
  return [{ ...finding, state: 'note', remedy }];
}

function absent(error: CaissonError, url: string, isNeeded: boolean): Finding {
  if (isNeeded)
    return {
      what: 'control plane',
      state: 'missing',
      says: error.message,
      remedy: 'Start it, or correct CAISSON_URL.',
    };
  return {
    what: 'control plane',
    state: 'note',
    says: `does not answer at ${url}`,
    remedy: 'Start it with `npm start`, or set CAISSON_URL.',
  };
}

/** The finding of one that takes connections. */
function standingStill(url: string): Finding {
  return {
    what: 'control plane',
    state: 'missing',
    says: `is there at ${url} and does not answer within ${patienceMs / 1_000} s`,
    remedy: 'Look at its log, and whether it is stopped or has no processor time; then start it again.',
  };
}

/** One is there, as the control plane was asked with it. */
function keyUntried(environment: Environment): Finding {
  const isGiven = (environment['CAISSON_API_KEY'] ?? '') !== '';
  const where = isGiven ? 'in CAISSON_API_KEY' : `in ${adminKeyFile(environment)}`;
  return { what: 'API key', state: 'note', says: `one is there, ${where}; it was not tried` };
}

function keyBeforeStart(environment: Environment): Finding {
  return {
    what: 'API key',
    state: 'note',
    says: `${adminKeyFile(environment)} cannot be read; the first start makes it`,
  };
}

function isRemote(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return !(hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.'));
}
