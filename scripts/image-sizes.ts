// Prints the layers of the sandbox image and their sizes as a Markdown table. Builds the image when it is missing.
import Docker from 'dockerode';
import { z } from 'zod';
import { ensureSandboxImage } from './sandbox-image.ts';

const historySchema = z.array(z.object({ CreatedBy: z.string(), Size: z.int() }));

/** The steps of the two Dockerfiles that write files, in their order. What comes before is Debian. */
const steps = [
  'packages that the base lacks, user, folders, git settings',
  'Node.js',
  'Codex: codex, code-mode host, rg, bwrap',
  'npm',
  'adapters: codex-acp, and Claude with CAISSON_IMAGE_CLAUDE=1',
  'configuration',
  'code cache of codex-acp',
  'guest',
  'code cache of the guest',
] as const;

const docker = new Docker();
const { image } = await ensureSandboxImage({ docker, log: (line) => console.error(`caisson: ${line}`) });
const history = historySchema.parse(await docker.getImage(image).history()).toReversed();
const sizes = history
  .filter(({ CreatedBy }) => !CreatedBy.includes('#(nop)') || /#\(nop\) (COPY|ADD) /.test(CreatedBy))
  .map(({ Size }) => Size);
const ours = sizes.splice(-steps.length);
const rows = [
  ['Debian', sum(sizes)] as const,
  ...steps.map((step, index) => [step, ours[index] ?? 0] as const),
  ['**all**', sum([...sizes, ...ours])] as const,
];
console.log('| layer | MB |\n| --- | ---: |');
for (const [name, bytes] of rows) console.log(`| ${name} | ${(bytes / 1e6).toFixed(1)} |`);

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
