import { chmod, lstat, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { Buffer } from 'node:buffer';
import {
  array,
  asyncProperty,
  constantFrom,
  assert as check,
  integer,
  oneof,
  record,
  tuple,
  uint8Array,
} from 'fast-check';
import { expect, test } from 'vitest';
import { makeWorkspace, type TestWorkspace } from './workspace.ts';

/** Names with everything that a name can have, and often the same ones, so that files and folders change places. */
const names = constantFrom(
  'a',
  'b',
  'c d',
  'new\nline',
  'quo\'te"s',
  '\xff\xfe',
  'caf\xc3\xa9',
  'tab\t',
  '-rf',
  ':!x',
  '*',
  '[a]',
  'back\\slash',
  '.hidden',
  'git~1',
  ' ',
);
const paths = array(names, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const entries = oneof(
  record({ path: paths, content: uint8Array({ maxLength: 40 }), mode: constantFrom(0o644, 0o755, 0o600, 0o444) }),
  record({ path: paths, target: constantFrom('a', '/etc/passwd', '..', 'nowhere\n', '\xff') }),
  record({ path: paths, gone: constantFrom(true) }),
);
type Entry = typeof entries extends { generate: (...args: never[]) => { value: infer Value } } ? Value : never;

/** Makes it so, whatever stands in the way. */
async function put(workspace: TestWorkspace, entry: Entry): Promise<void> {
  const parts = entry.path.split('/');
  const at = (count: number) => Buffer.from(`${workspace.folder}/${parts.slice(0, count).join('/')}`, 'latin1');
  const target = at(parts.length);
  if ('gone' in entry) {
    await rm(target, { recursive: true, force: true }).catch(() => undefined); // below a file there is nothing
    return;
  }
  for (let count = 1; count < parts.length; count++) {
    await mkdir(at(count)).catch(async () => {
      if ((await lstat(at(count))).isDirectory()) return;
      await rm(at(count));
      await mkdir(at(count));
    });
  }
  await rm(target, { recursive: true, force: true });
  if ('target' in entry) await symlink(Buffer.from(entry.target, 'latin1'), target);
  else {
    await writeFile(target, entry.content);
    await chmod(target, entry.mode);
  }
}

test('whatever a run does to whatever tree, a restore gives the tree of before, and its undo the one of after', async () => {
  await using workspace = await makeWorkspace();
  await check(
    asyncProperty(
      tuple(array(entries, { maxLength: 12 }), array(entries, { maxLength: 12 }), integer({ min: 0, max: 1 })),
      async ([first, second, isChained]) => {
        for (const entry of first) await put(workspace, entry);
        const before = await workspace.tree();
        const runId = await workspace.run();
        for (const entry of second) await put(workspace, entry);
        if (isChained === 1) await workspace.run();
        const after = await workspace.tree();
        const { undo, kept } = await workspace.restore(runId);
        expect(kept).toEqual([]);
        expect(await workspace.tree()).toEqual(before);
        expect((await workspace.status(runId)).total).toBe(0);
        await workspace.restore(undo);
        expect(await workspace.tree()).toEqual(after);
      },
    ),
    { numRuns: 40 },
  );
}, 180_000);
