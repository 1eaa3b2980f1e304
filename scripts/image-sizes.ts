// Prints the layers of the sandbox image and their sizes as a Markdown table. Builds the image when it is missing.
import Docker from 'dockerode';
import { z } from 'zod';
import { imageLayers as steps } from './image-layers.ts';
import { ensureSandboxImage } from './sandbox-image.ts';

const historySchema = z.array(z.object({ CreatedBy: z.string(), Size: z.int() }));

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
