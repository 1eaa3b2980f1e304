import * as z from 'zod';
import { CaissonError } from '../kernel/errors.ts';
import type { ContentBlock } from '../wire/contract/harness-event.ts';
import type { LaunchProfile } from './launch-profiles.ts';

const acpBlock = z.looseObject({ type: z.string() });
export type AcpBlock = z.infer<typeof acpBlock>;

/**
 * A message as ACP content. Text that begins with "/", after white space too, reaches the model as text.
 *
 * @throws BAD_REQUEST for a block that is no ACP content block.
 */
export function promptBlocks(content: readonly ContentBlock[], profile: Pick<LaunchProfile, 'slashText'>): AcpBlock[] {
  return content.flatMap((block): AcpBlock[] => {
    if (block.type === 'text') {
      const texts = block.text.trimStart().startsWith('/') ? profile.slashText(block.text) : [block.text];
      return texts.map((text) => ({ type: 'text', text }));
    }
    const parsed = acpBlock.safeParse(block.block);
    if (!parsed.success)
      throw new CaissonError('BAD_REQUEST', 'The message holds a block that is no ACP content block.');
    return [parsed.data];
  });
}
