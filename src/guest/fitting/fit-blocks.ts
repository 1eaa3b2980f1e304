import { fitText, mostBytesOfUnit, shorten } from '../../kernel/json-text.ts';
import type { ContentBlock, ToolContent } from '../../wire/contract/harness-event.ts';
import { journalBounds } from '../../wire/contract/journal-bounds.ts';
import { fitDiff } from './fit-diff.ts';
import { fitJson, jsonSize, leftOut } from './fit-json.ts';

/** More than a block takes around its texts, by the measure of `jsonSize`. */
const frameBytes = 300;

/** The blocks, or as many as may be, the larger of them shortened so that all take at most `mostBytes`. */
export function fitBlocks<Block extends ContentBlock | ToolContent>(
  blocks: readonly Block[],
  mostBytes: number,
): (Block | { type: 'text'; text: string })[] {
  const most = blocks.length <= journalBounds.blocks ? journalBounds.blocks : journalBounds.blocks - 1;
  const shown = blocks.slice(0, most).map(withPath);
  const sizes = shown.map((block) => jsonSize(block));
  const share = fairShare(sizes, mostBytes - frameBytes);
  const fitted: (Block | { type: 'text'; text: string })[] = shown.map((block, index) =>
    (sizes[index] ?? 0) <= share ? block : fitBlock(block, share),
  );
  if (shown.length < blocks.length)
    fitted.push({ type: 'text', text: leftOut(blocks.length - shown.length, blocks.length, 'blocks') });
  return fitted;
}

function withPath<Block extends ContentBlock | ToolContent>(block: Block): Block {
  return block.type === 'diff' ? { ...block, path: shorten(block.path, journalBounds.path) } : block;
}

function fitBlock<Block extends ContentBlock | ToolContent>(block: Block, mostBytes: number): Block {
  const room = Math.max(0, mostBytes - frameBytes);
  switch (block.type) {
    case 'text':
      return { ...block, text: fitText(block.text, room) };
    case 'diff': {
      const path = shorten(block.path, Math.min(journalBounds.path, Math.floor(room / (2 * mostBytesOfUnit))));
      return { ...block, ...fitDiff({ ...block, path }, Math.max(0, room - jsonSize(path))) };
    }
    case 'other':
      return { ...block, block: fitJson(block.block, room) };
  }
}

/** The most that each may take so that all together take `total`, when those that need less leave the rest to the others. */
function fairShare(sizes: readonly number[], total: number): number {
  let left = total;
  const ascending = sizes.toSorted((a, b) => a - b);
  for (const [index, size] of ascending.entries()) {
    const share = left / (ascending.length - index);
    if (size > share) return Math.floor(share);
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}
