import { inotifyFolder, isEngineHere, lowInotifyLimits } from '../../kernel/inotify-limits.ts';
import type { Finding } from './finding.ts';

/** What all sandboxes of this machine share to watch files; nothing where it is enough, or where the engine is elsewhere. */
export function examineInotify(
  environment: Readonly<Record<string, string | undefined>>,
  folder = inotifyFolder,
): Finding[] {
  const low = isEngineHere(environment) ? lowInotifyLimits(folder) : [];
  if (low.length === 0) return [];
  const settings = low.map(({ name, enough }) => `${name}=${enough}`).join(' ');
  return [
    {
      what: 'file watches',
      state: 'note',
      says: `${low.map(({ name, value }) => `${name} is ${value}`).join(', ')}, for all sandboxes together`,
      remedy: `\`npm start\` raises it on Debian and Ubuntu as root; elsewhere: \`sudo sysctl ${settings}\`.`,
    },
  ];
}
