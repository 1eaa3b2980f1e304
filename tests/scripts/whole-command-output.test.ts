import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import { withWholeCommandOutput } from '../../scripts/whole-command-output.ts';

const bundle = join(repositoryRoot, 'images/sandbox/node_modules/@agentclientprotocol/codex-acp/dist/index.js');

test('the adapter of the lockfile gets one line, and another adapter is refused', async () => {
  const adapter = await readFile(bundle, 'utf8');
  const changed = withWholeCommandOutput(adapter).split('\n');
  const at = changed.findIndex((line) => line.includes('caisson_whole_output'));
  expect(changed.toSpliced(at, 1).join('\n')).toBe(adapter);
  expect(changed.slice(at - 3, at + 2).map((line) => line.trim())).toEqual([
    'const sendOutput = end.output.length > 0 && !end.streamed;',
    'return {',
    '...sendOutput ? this.outputChunk(terminalId, end.output, end.terminal) : {},',
    '...end.streamed && end.output.length > 0 ? { caisson_whole_output: { data: end.output } } : {},',
    '...end.terminal ? terminalExit(terminalId, end.exitCode) : {}',
  ]);
  for (const other of ['', adapter + adapter, adapter.replace('...sendOutput ?', '...sendsOutput ?')]) {
    expect(() => withWholeCommandOutput(other)).toThrow('codex-acp tells the end of a command in another way');
  }
});
