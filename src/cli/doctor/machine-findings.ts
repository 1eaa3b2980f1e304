import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Config, loadConfig } from '../../controlplane/config.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { diskFinding } from './disk-finding.ts';
import type { Finding } from './finding.ts';
import { examineInotify } from './inotify-findings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a control plane on this machine has, or would have: the model of one that serves is known from itself, and maybe the disk. */
export async function examineMachine(
  environment: Environment,
  { isServing, isDiskKnown }: { readonly isServing: boolean; readonly isDiskKnown: boolean },
): Promise<Finding[]> {
  let config: Config;
  try {
    config = loadConfig(environment);
  } catch (thrown) {
    if (!(thrown instanceof CaissonError)) throw thrown;
    return [{ what: 'configuration', state: 'missing', says: thrown.message, remedy: thrown.hint }];
  }
  return [
    ...(await sandboxesOf(config, environment)),
    ...(isServing ? [] : [modelOf(config)]),
    ...(isDiskKnown ? [] : [await diskOf(config, isServing)]),
  ];
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

async function diskOf({ dataDir }: Config, isServing: boolean): Promise<Finding> {
  const { bavail, bsize } = await statfsOfNearest(dataDir);
  const whose = isServing ? ", of this shell's CAISSON_DATA_DIR; the control plane's may be another" : '';
  return diskFinding([{ freeBytes: bavail * bsize, what: `${dataDir}${whose}` }]);
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
