import Docker from 'dockerode';
import { errorText } from '../../kernel/errors.ts';
import type { Finding } from './finding.ts';

const installRemedy = 'Install it with `npm run setup` (Debian and Ubuntu), start it, or set DOCKER_HOST.';
const imageRemedy = 'Build it with `npm run setup`.';
const timeoutMs = 5_000;

/** The engine that DOCKER_HOST or the default socket leads to, and the image that sandboxes are made of. */
export async function examineDocker(image: string): Promise<Finding[]> {
  const docker = new Docker({ timeout: timeoutMs });
  try {
    const { Version } = await docker.version();
    return [{ what: 'Docker', state: 'ok', says: `engine ${Version}` }, await examineImage(docker, image)];
  } catch (thrown) {
    const why = errorText(thrown) || 'no answer';
    return [{ what: 'Docker', state: 'missing', says: `no engine answers: ${why}`, remedy: installRemedy }];
  }
}

async function examineImage(docker: Docker, reference: string): Promise<Finding> {
  const found = await docker.listImages({ filters: { reference: [reference] } });
  const newest = found.toSorted((a, b) => b.Created - a.Created)[0];
  if (newest === undefined)
    return { what: 'sandbox image', state: 'missing', says: `the engine has no ${reference}`, remedy: imageRemedy };
  const megabytes = Math.round(newest.Size / 1_000_000);
  return { what: 'sandbox image', state: 'ok', says: `${newest.RepoTags?.[0] ?? reference}, ${megabytes} MB` };
}
