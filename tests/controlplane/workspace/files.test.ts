import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCaissonClient } from '../../../src/client/index.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from './running-workspace.ts';

let workspace: RunningWorkspace;
let agentId: string;
let folder = '';
let count = 0;
beforeAll(async () => {
  workspace = await startWorkspace();
  agentId = workspace.agent.id;
});
afterAll(() => workspace[Symbol.asyncDispose]());
/** Each test has a folder of its own. */
beforeEach(async () => {
  folder = join(workspace.roots[0], `t${++count}`);
  await mkdir(folder);
});

const here = (name: string): { agentId: string; path: string } => ({ agentId, path: `${folder}/${name}` });
const files = (): RunningWorkspace['client']['files'] => workspace.client.files;
const bytes = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, (_, at) => (at * 31) % 251);
const collect = async (stream: ReadableStream<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};
const fetchFile = (path: string, init: RequestInit = {}, key = workspace.apiKey): Promise<Response> =>
  fetch(`${workspace.url}/v1/agents/${agentId}/file?path=${path.split('/').map(encodeURIComponent).join('/')}`, {
    ...init,
    headers: { authorization: `Bearer ${key}`, ...Object.fromEntries(new Headers(init.headers)) },
  });

describe('reading and writing', () => {
  test('a file is written, told about, read, and written again only by who has its present ETag', async () => {
    const written = await files().write.mutate({ ...here('a.txt'), content: 'one' });
    expect(written).toMatchObject({ created: true, file: { type: 'file', size: 3, mode: 0o644, target: null } });
    const read = await files().read.query(here('a.txt'));
    expect(read).toMatchObject({ content: 'one', isEnd: true, length: 3, file: { etag: written.file.etag } });
    const second = await files().write.mutate({ ...here('a.txt'), content: 'two', ifMatch: written.file.etag });
    expect(second.created).toBe(false);
    await expect(
      files().write.mutate({ ...here('a.txt'), content: 'three', ifMatch: written.file.etag }),
    ).rejects.toMatchObject({ code: 'FILE_CHANGED', details: { etag: second.file.etag } });
    expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('two');
  });

  test('of many editors with one ETag, one writes', async () => {
    const { file } = await files().write.mutate({ ...here('a'), content: 'start' });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at) =>
        files().write.mutate({ ...here('a'), content: `${at}`, ifMatch: file.etag }),
      ),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('a file is made only where there is none with ifNoneMatch', async () => {
    const make = () => files().write.mutate({ ...here('new'), content: 'x', ifNoneMatch: '*' });
    await make();
    await expect(make()).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(await readdir(folder)).toEqual(['new']);
  });

  test('a file that is replaced keeps its mode unless one is given, and appending keeps its content', async () => {
    await writeFile(join(folder, 'run.sh'), '#!/bin/sh\n');
    await chmod(join(folder, 'run.sh'), 0o750);
    await files().write.mutate({ ...here('run.sh'), content: 'a' });
    await files().write.mutate({ ...here('run.sh'), content: 'b', append: true });
    expect(await readFile(join(folder, 'run.sh'), 'utf8')).toBe('ab');
    expect((await stat(join(folder, 'run.sh'))).mode & 0o777).toBe(0o750);
    await files().write.mutate({ ...here('run.sh'), content: 'c', mode: 0o600 });
    expect((await stat(join(folder, 'run.sh'))).mode & 0o777).toBe(0o600);
  });

  test('appending makes the file, and missing folders are made when that is asked for', async () => {
    const deep = here('x/y/z.txt');
    await expect(files().write.mutate({ ...deep, content: '1' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await files().write.mutate({ ...deep, content: '1', append: true, parents: true });
    expect((await files().read.query(deep)).content).toBe('1');
  });

  test('pieces of text end at whole characters, and bytes come as base64', async () => {
    await writeFile(join(folder, 'u'), 'aé漢😀');
    const piece = await files().read.query({ ...here('u'), length: 5 });
    expect(piece).toMatchObject({ content: 'aé', length: 3, isEnd: false });
    const rest = await files().read.query({ ...here('u'), offset: 3 });
    expect(rest).toMatchObject({ content: '漢😀', isEnd: true });
    expect(await files().read.query({ ...here('u'), offset: 10 })).toMatchObject({ content: '', isEnd: true });
    await expect(files().read.query({ ...here('u'), offset: 11 })).rejects.toMatchObject({
      code: 'RANGE_NOT_SATISFIABLE',
    });
    await writeFile(join(folder, 'b'), Buffer.from([0, 255, 254]));
    await expect(files().read.query(here('b'))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect((await files().read.query({ ...here('b'), encoding: 'base64' })).content).toBe('AP/+');
  });

  test('what the caller has already is not sent again', async () => {
    const { file } = await files().write.mutate({ ...here('a'), content: 'x' });
    expect((await files().read.query({ ...here('a'), ifNoneMatch: file.etag })).content).toBeNull();
  });

  test('an empty file is read', async () => {
    await files().write.mutate({ ...here('empty'), content: '' });
    expect(await files().read.query(here('empty'))).toMatchObject({ content: '', isEnd: true, file: { size: 0 } });
    const download = await files().download(here('empty'));
    expect((await collect(download.stream)).length).toBe(0);
  });

  test('names are bytes: spaces, quotes, newlines and what is no UTF-8 survive', async () => {
    const names = ['a b', 'q"uo\'te', 'new\nline', '\udcff\udcfe.bin', 'back\\slash', '-rf', '%2e%2e', '…é', '*?[x]'];
    for (const name of names)
      await files().write.mutate({ ...here(name), content: name.isWellFormed() ? name : 'bytes' });
    expect((await readdir(folder, 'buffer')).some((name) => name.equals(Buffer.from('fffe2e62696e', 'hex')))).toBe(
      true,
    );
    const listed = await files().list.query(here(''));
    expect(listed.items.map(({ path }) => path.slice(folder.length + 1)).sort()).toEqual([...names].sort());
    for (const name of names) {
      expect((await files().stat.query(here(name))).size).toBeGreaterThan(0);
      const { stream } = await files().download(here(name));
      expect((await collect(stream)).length).toBeGreaterThan(0);
    }
  });
});

describe('the tree', () => {
  test('a folder is listed page by page, and all below it in order', async () => {
    execFileSync('sh', ['-c', 'mkdir -p b/d e && touch a b/c b/d/x b.txt e/y && ln -s b/c link && mkfifo pipe'], {
      cwd: folder,
    });
    const one = await files().list.query({ ...here(''), limit: 2 });
    expect(one.items.map(({ path }) => path)).toEqual([`${folder}/a`, `${folder}/b`]);
    const two = await files().list.query({ ...here(''), cursor: one.nextCursor });
    expect(two.items.map(({ path, type, target }) => [path.slice(folder.length), type, target])).toEqual([
      ['/b.txt', 'file', null],
      ['/e', 'directory', null],
      ['/link', 'link', 'b/c'],
      ['/pipe', 'other', null],
    ]);
    expect(two.nextCursor).toBeNull();
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const page: typeof one = await files().list.query({ ...here(''), recursive: true, limit: 1, cursor });
      found.push(...page.items.map(({ path }) => path.slice(folder.length + 1)));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(found).toEqual(['a', 'b', 'b/c', 'b/d', 'b/d/x', 'b.txt', 'e', 'e/y', 'link', 'pipe']);
  });

  test('folders are made, moved, copied with what is in them, and removed', async () => {
    await files().mkdir.mutate({ ...here('p/q'), parents: true });
    await expect(files().mkdir.mutate(here('p'))).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await files().write.mutate({ ...here('p/q/f'), content: 'x', mode: 0o755 });
    await symlink('q/f', join(folder, 'p/l'));
    execFileSync('mkfifo', [join(folder, 'p/pipe')]);
    const transfer = (from: string, to: string, overwrite = false) => ({
      agentId,
      from: `${folder}/${from}`,
      to: `${folder}/${to}`,
      overwrite,
    });
    await files().copy.mutate(transfer('p', 'c'));
    expect(await readlink(join(folder, 'c/l'))).toBe('q/f');
    expect((await stat(join(folder, 'c/q/f'))).mode & 0o777).toBe(0o755);
    expect(await readdir(join(folder, 'c'))).toEqual(['l', 'q']);
    await files().move.mutate(transfer('c', 'm'));
    await expect(files().move.mutate(transfer('m', 'p'))).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await expect(files().copy.mutate(transfer('p', 'p/q/in'))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(files().move.mutate(transfer('p', 'p/q/in'))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await files().write.mutate({ ...here('f'), content: 'new' });
    await expect(files().move.mutate(transfer('f', 'm/q/f'))).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await files().move.mutate(transfer('f', 'm/q/f', true));
    expect(await readFile(join(folder, 'm/q/f'), 'utf8')).toBe('new');
    await expect(files().remove.mutate(here('m'))).rejects.toMatchObject({ code: 'DIRECTORY_NOT_EMPTY' });
    await files().remove.mutate({ ...here('m'), recursive: true });
    await files().remove.mutate(here('p/l'));
    expect((await readdir(folder)).sort()).toEqual(['p']);
  });

  test('removing a tree does not follow the links in it', async () => {
    await mkdir(join(folder, 'kept'));
    await writeFile(join(folder, 'kept/f'), 'x');
    await mkdir(join(folder, 'gone'));
    await symlink('../kept', join(folder, 'gone/link'));
    await files().remove.mutate({ ...here('gone'), recursive: true });
    expect(await readdir(join(folder, 'kept'))).toEqual(['f']);
  });

  test('what is missing, a folder, no folder, and not empty have errors of their own', async () => {
    await mkdir(join(folder, 'd'));
    await writeFile(join(folder, 'f'), 'x');
    await expect(files().read.query(here('none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(files().read.query(here('d'))).rejects.toMatchObject({ code: 'IS_A_DIRECTORY' });
    await expect(files().list.query(here('f'))).rejects.toMatchObject({ code: 'NOT_A_DIRECTORY' });
    await expect(files().read.query(here('f/x'))).rejects.toMatchObject({ code: 'NOT_A_DIRECTORY' });
    await expect(files().write.mutate({ ...here('d'), content: '' })).rejects.toMatchObject({ code: 'IS_A_DIRECTORY' });
    await expect(files().remove.mutate(here('none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await symlink('loop', join(folder, 'loop'));
    await expect(files().read.query(here('loop'))).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
  });

  test('a link inside is followed by reading and writing, and stays a link', async () => {
    await writeFile(join(folder, 'real'), 'x');
    await symlink('real', join(folder, 'link'));
    await files().write.mutate({ ...here('link'), content: 'through' });
    expect(await readFile(join(folder, 'real'), 'utf8')).toBe('through');
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
    expect(await files().stat.query({ ...here('link'), follow: false })).toMatchObject({
      type: 'link',
      target: 'real',
    });
    expect(await files().stat.query(here('link'))).toMatchObject({ type: 'file' });
  });
});

describe('large files over HTTP', () => {
  test('go up and down whole, with what HTTP says about them', async () => {
    const content = bytes(9_000_001);
    const written = await files().upload({ ...here('big.bin'), body: new Blob([content]), mode: 0o755 });
    expect(written).toMatchObject({ created: true, file: { size: content.length, mode: 0o755 } });
    const { stream, ...about } = await files().download(here('big.bin'));
    expect(about).toMatchObject({ length: content.length, size: content.length, etag: written.file.etag });
    expect((await collect(stream)).equals(content)).toBe(true);
    const head = await fetchFile(`${folder}/big.bin`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(content.length));
    expect(head.headers.get('content-type')).toBe('application/octet-stream');
    expect(head.headers.get('content-disposition')).toBe(`attachment; filename="big.bin"; filename*=UTF-8''big.bin`);
    expect(head.headers.get('x-content-type-options')).toBe('nosniff');
    expect(head.headers.get('etag')).toBe(written.file.etag);
    expect(await readdir(folder)).toEqual(['big.bin']);
  });

  test('a stream of unknown length goes up', async () => {
    const content = bytes(3_000_000);
    const body = new Blob([content]).stream();
    const { file } = await files().upload({ ...here('s'), body });
    expect(file.size).toBe(content.length);
  });

  test('a range is 206, one behind the end 416, and If-Range of another file gives all of it', async () => {
    await files().write.mutate({ ...here('r'), content: '0123456789' });
    const range = (range: string, more = {}) => fetchFile(`${folder}/r`, { headers: { range, ...more } });
    const part = await range('bytes=2-4');
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect(await (await range('bytes=-3')).text()).toBe('789');
    const behind = await range('bytes=10-');
    expect([behind.status, behind.headers.get('content-range')]).toEqual([416, 'bytes */10']);
    expect(await behind.json()).toMatchObject({ error: { data: { caisson: { code: 'RANGE_NOT_SATISFIABLE' } } } });
    const other = await range('bytes=2-4', { 'if-range': '"other"' });
    expect([other.status, await other.text()]).toEqual([200, '0123456789']);
    const etag = part.headers.get('etag') ?? '';
    expect((await range('bytes=2-4', { 'if-range': etag })).status).toBe(206);
    expect((await fetchFile(`${folder}/r`, { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await fetchFile(`${folder}/r`, { headers: { 'if-match': '"x"' } })).status).toBe(412);
  });

  test('a download is the part that was asked for, also up to the largest number', async () => {
    await files().write.mutate({ ...here('r'), content: '0123456789' });
    const part = async (range: { start?: number; end?: number }) =>
      (await collect((await files().download({ ...here('r'), ...range })).stream)).toString();
    expect(await part({ start: 2, end: 5 })).toBe('234');
    expect(await part({ end: 1 })).toBe('0');
    expect(await part({ start: 7, end: Number.MAX_SAFE_INTEGER })).toBe('789');
  });

  test('If-Match holds at the end of a long upload too', async () => {
    const { file } = await files().write.mutate({ ...here('x'), content: 'old' });
    const content = bytes(2_000_000);
    let sent = 0;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (sent === 0) controller.enqueue(content);
        else {
          await files().write.mutate({ ...here('x'), content: 'of another' });
          controller.close();
        }
        sent += 1;
      },
    });
    await expect(files().upload({ ...here('x'), body, ifMatch: file.etag })).rejects.toMatchObject({
      code: 'FILE_CHANGED',
    });
    expect(await readFile(join(folder, 'x'), 'utf8')).toBe('of another');
    expect(await readdir(folder)).toEqual(['x']);
  });

  test('an upload that is cut leaves the old file and nothing else', async () => {
    await files().write.mutate({ ...here('x'), content: 'old' });
    const leave = new AbortController();
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(bytes(256 * 1024)),
    });
    const upload = files().upload({ ...here('x'), body, signal: leave.signal });
    await until('the upload begins', async () => (await readdir(folder)).length === 2);
    leave.abort();
    await expect(upload).rejects.toMatchObject({ code: 'ABORTED' });
    await until('its traces are gone', async () => (await readdir(folder)).length === 1);
    expect(await readFile(join(folder, 'x'), 'utf8')).toBe('old');
  });

  test("an upload whose stream fails rejects with the stream's own error", async () => {
    const failure = new Error('the disk of the caller');
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: () => {
        throw failure;
      },
    });
    await expect(files().upload({ ...here('x'), body })).rejects.toBe(failure);
    expect(await readdir(folder)).toEqual([]);
  });

  test('an upload that is refused is refused before it is sent', async () => {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(bytes(64 * 1024)),
    });
    await expect(files().upload({ ...here('no/such/folder'), body })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  test('a file that shrinks under its reader fails the download', async () => {
    await writeFile(join(folder, 'shrinks'), bytes(64 * 1024 * 1024));
    const { stream } = await files().download(here('shrinks'));
    const reader = stream.getReader();
    await reader.read();
    await truncate(join(folder, 'shrinks'), 0);
    const rest = (async () => {
      for (;;) if ((await reader.read()).done) return;
    })();
    await expect(rest).rejects.toMatchObject({
      code: 'TRANSFER_BROKEN',
      retryable: true,
      message: expect.stringMatching(/^The transfer broke off after \d+ of 67108864 bytes\.$/),
    });
  });
});

describe('archives', () => {
  test('a folder goes down as tar and up again as it was', async () => {
    execFileSync(
      'sh',
      [
        '-c',
        `mkdir -p t/sub t/empty && echo hi > t/sub/f && chmod 755 t/sub/f && ln -s sub/f t/l && printf x > "t/$(printf 'n\\377')"`,
      ],
      {
        cwd: folder,
      },
    );
    const long = `t/${'d'.repeat(120)}/${'e'.repeat(200)}`;
    await mkdir(join(folder, long), { recursive: true });
    await writeFile(join(folder, long, 'f'), 'deep');
    const archive = await files().downloadArchive(here('t'));
    const unpacked = await files().uploadArchive({ ...here('u'), body: archive });
    expect(unpacked).toMatchObject({ files: 3, links: 1 });
    execFileSync('diff', ['-r', '--no-dereference', 't', 'u'], { cwd: folder });
    expect((await stat(join(folder, 'u/sub/f'))).mode & 0o777).toBe(0o755);
  });

  test('other programs read it, and their archives are read', async () => {
    execFileSync('sh', ['-c', `mkdir -p t/x && echo hi > t/x/f && ln t/x/f t/x/hard`], { cwd: folder });
    await writeFile(join(folder, 'a.tar'), await collect(await files().downloadArchive(here('t'))));
    execFileSync('sh', ['-c', 'mkdir v && tar -xf a.tar -C v && diff -r t v'], { cwd: folder });
    for (const format of ['gnu', 'pax', 'ustar', 'v7']) {
      const body = Uint8Array.from(
        execFileSync('tar', [`--format=${format}`, '-cf', '-', '-C', 't', '.'], { cwd: folder }),
      );
      expect(await files().uploadArchive({ ...here(format), body })).toMatchObject({ files: 1, links: 1 });
      execFileSync('diff', ['-r', 't', format], { cwd: folder });
    }
  });

  test('a folder goes down as zip', async () => {
    execFileSync('sh', ['-c', `mkdir -p t/x t/empty && echo hi > t/x/f && echo b > 't/back\\slash' && ln -s x/f t/l`], {
      cwd: folder,
    });
    await writeFile(
      join(folder, 'a.zip'),
      await collect(await files().downloadArchive({ ...here('t'), format: 'zip' })),
    );
    const listed = execFileSync('python3', ['-m', 'zipfile', '-l', 'a.zip'], { cwd: folder }).toString();
    expect(listed).toMatch(/x\/f/);
    expect(listed).toMatch(/back_slash/);
    execFileSync('python3', ['-m', 'zipfile', '-t', 'a.zip'], { cwd: folder });
  });

  test('an archive that is cut fails, and leaves no half file', async () => {
    execFileSync('sh', ['-c', 'mkdir t && head -c 300000 /dev/urandom > t/f'], { cwd: folder });
    const whole = Uint8Array.from(await collect(await files().downloadArchive(here('t'))));
    const cut = whole.slice(0, 200_000);
    await expect(files().uploadArchive({ ...here('u'), body: cut })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(await readdir(join(folder, 'u'))).toEqual([]);
    await expect(files().uploadArchive({ ...here('u'), body: 'not a tar at all'.repeat(100) })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
  });
});

describe('watching', () => {
  test('changes are told once all is watched, and a cursor goes on where it was', async () => {
    await mkdir(join(folder, 'sub'));
    const leave = new AbortController();
    const seen: string[] = [];
    let cursor = '';
    for await (const item of files().watch({ ...here(''), signal: leave.signal })) {
      ({ cursor } = item);
      if (item.type === 'ready') await writeFile(join(folder, 'sub/a'), 'x');
      if (item.type === 'changes')
        seen.push(...item.changes.map(({ path, kind }) => `${kind} ${path.slice(folder.length)}`));
      if (seen.length > 0) leave.abort();
    }
    expect(seen).toEqual(['changed /sub/a']);
    execFileSync('sh', ['-c', 'rm sub/a; mkdir -p n/m; echo x > n/m/f'], { cwd: folder });
    const again = new AbortController();
    const later: string[] = [];
    for await (const item of files().watch({ ...here(''), cursor, signal: again.signal })) {
      if (item.type === 'ready') expect(item.resumed).toBe(true);
      if (item.type === 'changes')
        later.push(...item.changes.map(({ path, kind }) => `${kind} ${path.slice(folder.length)}`));
      if (['removed /sub/a', 'changed /n/m/f'].every((change) => later.includes(change))) again.abort();
    }
    expect(later).toContain('changed /n');
  });

  test('a cursor of another time is not resumed', async () => {
    for await (const item of files().watch({ ...here(''), cursor: 'abcdef.7' })) {
      expect(item).toMatchObject({ type: 'ready', resumed: false });
      break;
    }
  });

  test('a watch that was open does not start a sandbox that was stopped, and goes on when it runs again', async () => {
    let watches = 0;
    const client = createCaissonClient({
      url: workspace.url,
      apiKey: workspace.apiKey,
      fetch: (url, init) => {
        if (new Request(url).url.includes('files.watch')) watches++;
        return fetch(url, init);
      },
    });
    const id = agentIdSchema.parse((await client.agents.create.mutate({ name: 'stopped', wait: true })).id);
    const leave = new AbortController();
    const items = client.files.watch({ agentId: id, path: '', signal: leave.signal });
    expect((await items.next()).value).toMatchObject({ type: 'ready' });
    const next = items.next();
    const { provider } = workspace;
    await provider.end(id);
    await until('it asked again, and got an answer', () => watches > 3);
    expect(provider.running.has(id)).toBe(false);
    await client.files.list.query({ agentId: id }); // whoever works in it starts it
    expect((await next).value).toMatchObject({ type: 'ready', resumed: false });
    leave.abort();
    await client.agents.delete.mutate({ agentId: id });
  });

  test('who comes with a cursor for a sandbox that does not run is told so', async () => {
    const { client, provider } = workspace;
    const id = agentIdSchema.parse((await client.agents.create.mutate({ name: 'asleep', wait: true })).id);
    await provider.end(id);
    await until('it is known', async () => {
      const { sandbox } = await client.agents.get.query({ agentId: id });
      return sandbox.state === 'stopped';
    });
    const watch = client.files.watch({ agentId: id, path: '', cursor: 'abcdef.7' });
    await expect(watch.next()).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
    expect(provider.running.has(id)).toBe(false);
    await client.agents.delete.mutate({ agentId: id });
  });

  test('a folder that is not there cannot be watched', async () => {
    const watch = files().watch({ ...here('none') });
    await expect(watch.next()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('strangers', () => {
  test('see no file, by any route', async () => {
    await files().write.mutate({ ...here('secret'), content: 'x' });
    const path = `${folder}/secret`;
    const archive = `${workspace.url}/v1/agents/${agentId}/archive?path=${folder}`;
    const by = (key: string, method: string) => ({
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(method === 'PUT' ? { body: 'x' } : {}),
    });
    for (const method of ['GET', 'HEAD', 'PUT']) {
      expect((await fetchFile(path, by(workspace.strangerKey, method), workspace.strangerKey)).status).toBe(404);
      expect((await fetchFile(path, by('bad', method), 'bad')).status).toBe(401);
    }
    for (const method of ['GET', 'PUT']) {
      expect((await fetch(archive, by(workspace.strangerKey, method))).status).toBe(404);
      expect((await fetch(archive, by('bad', method))).status).toBe(401);
    }
    await expect(workspace.stranger.files.download({ agentId, path })).rejects.toMatchObject({
      code: 'AGENT_NOT_FOUND',
    });
  });
});
