import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Config, loadConfig } from '../../controlplane/config.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { Finding } from './finding.ts';
import { examineInotify } from './inotify-findings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const gibibyte = 1024 ** 3;
/** The sandbox image takes about 1 GiB, and every agent's workspace comes on top. */
const neededBytes = 2 * gibibyte;
const comfortableBytes = 10 * gibibyte;

/** What a control plane on this machine has, or would have: the model of one that serves is known from itself. */
export async function examineMachine(
  environment: Environment,
  { isServing }: { readonly isServing: boolean },
): Promise<Finding[]> {
  let config: Config;
  try {
    config = loadConfig(environment);
  } catch (thrown) {
    if (!(thrown instanceof CaissonError)) throw thrown;
    return [{ what: 'configuration', state: 'missing', says: thrown.message, remedy: thrown.hint }];
  }
  return [...(await sandboxesOf(config, environment)), ...(isServing ? [] : [modelOf(config)]), await diskOf(config)];
}

async function sandboxesOf({ sandbox }: Config, environment: Environment): Promise<Finding[]> {
  if (sandbox.provider !== 'docker') return [];
  const { examineDocker } = await import('./docker-findings.ts');
  return [...(await examineDocker(sandbox.image)), ...examineInotify(environment)];
}

function modelOf({ model }: Config): Finding {
  if (model.demo) {
    return {
      what: 'model',
      state: 'note',
      says: 'no key: a start would use the demo model',
      remedy: 'Set OPENAI_API_KEY for a real one.',
    };
  }
  return { what: 'model', state: 'ok', says: `${model.name} at ${model.baseUrl ?? 'no address'}` };
}

async function diskOf({ dataDir }: Config): Promise<Finding> {
  const { bavail, bsize } = await statfsOfNearest(dataDir);
  const free = bavail * bsize;
  const says = `${(free / gibibyte).toFixed(1)} GiB free for ${dataDir}`;
  if (free >= comfortableBytes) return { what: 'disk', state: 'ok', says };
  return {
    what: 'disk',
    state: free < neededBytes ? 'missing' : 'note',
    says,
    remedy: 'Make room: images and workspaces need it.',
  };
}

/** Of the directory, or of the nearest one above it that exists. */
async function statfsOfNearest(path: string): Promise<{ bavail: number; bsize: number }> {
  try {
    return await statfs(path);
  } catch (thrown) {
    const isAbsent = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    if (!isAbsent || dirname(path) === path) throw thrown;
    return await statfsOfNearest(dirname(path));
  }
}
