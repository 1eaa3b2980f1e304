import { errorText } from '../../kernel/errors.ts';
import { type EngineLook, lookAtEngine } from '../../sandbox-providers/docker/engine-look.ts';
import type { Finding } from './finding.ts';

const installRemedy = 'Install it with `npm run setup` (Debian and Ubuntu), start it, or set DOCKER_HOST.';
const imageRemedy = 'Build it with `npm run setup`.';

/** The engine that DOCKER_HOST or the default socket leads to, and the image that sandboxes are made of. */
export async function examineDocker(image: string): Promise<Finding[]> {
  let engine: EngineLook;
  try {
    engine = await lookAtEngine(image);
  } catch (thrown) {
    const why = errorText(thrown) || 'no answer';
    return [{ what: 'Docker', state: 'missing', says: `no engine answers: ${why}`, remedy: installRemedy }];
  }
  return [{ what: 'Docker', state: 'ok', says: `engine ${engine.version}` }, imageOf(engine, image)];
}

function imageOf({ image }: EngineLook, reference: string): Finding {
  if (image === null)
    return { what: 'sandbox image', state: 'missing', says: `the engine has no ${reference}`, remedy: imageRemedy };
  return { what: 'sandbox image', state: 'ok', says: `${image.name}, ${Math.round(image.bytes / 1_000_000)} MB` };
}
