import type { Finding } from './finding.ts';

const gibibyte = 1024 ** 3;
/** The sandbox image takes about 1 GiB, and every agent's workspace comes on top. */
const neededBytes = 2 * gibibyte;
const comfortableBytes = 10 * gibibyte;

/** What is left on disks, as bad as the fullest. `what` is on one. */
export function diskFinding(disks: readonly { readonly freeBytes: number; readonly what: string }[]): Finding {
  const least = Math.min(...disks.map(({ freeBytes }) => freeBytes));
  const says = disks
    .map(({ freeBytes, what }) => `${(freeBytes / gibibyte).toFixed(1)} GiB free for ${what}`)
    .join(', ');
  if (least >= comfortableBytes) return { what: 'disk', state: 'ok', says };
  return {
    what: 'disk',
    state: least < neededBytes ? 'missing' : 'note',
    says,
    remedy: 'Make room: images and workspaces need it.',
  };
}
