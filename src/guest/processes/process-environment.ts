import { guestEnvironment } from '../../wire/contract/guest-api.ts';

/** Settings of the guest and of its Node, which are no business of what it runs. */
const ownPrefix = 'CAISSON_';
const ownNames: ReadonlySet<string> = new Set([
  ...Object.values(guestEnvironment),
  'NODE_OPTIONS',
  'NODE_COMPILE_CACHE',
  'NODE_CHANNEL_FD',
  'NODE_UNIQUE_ID',
]);

/** What a login gives where the image gives nothing. A pipe is no terminal, and TERM says so. */
const loginDefaults = {
  HOME: '/home/agent',
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LANG: 'C.UTF-8',
  TERM: 'dumb',
  USER: 'agent',
  LOGNAME: 'agent',
  SHELL: '/bin/bash',
} as const;

/**
 * The environment of what callers run: that of the image without what is the guest's own, as a login would have it, and
 * `added` over it.
 */
export function processEnvironment(
  guests: Readonly<Record<string, string | undefined>>,
  added: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const environment: Record<string, string> = { ...loginDefaults };
  for (const [name, value] of Object.entries(guests)) {
    if (value !== undefined && !name.startsWith(ownPrefix) && !ownNames.has(name)) environment[name] = value;
  }
  return { ...environment, ...added };
}
