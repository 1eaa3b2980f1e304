import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureChromium } from '../../scripts/chromium.ts';
import { startServer } from '../controlplane/running-server.ts';
import { startWorkspace } from '../controlplane/workspace/running-workspace.ts';
import { codeBlocks } from '../docs/markdown.ts';
import {
  browserCompilerOptions,
  panelProgram,
  runningProgram,
  strictCompilerOptions,
  typedProgram,
} from './consumer-sources.ts';
import { type InstalledPackage, installPackage, repositoryRoot } from './installed-package.ts';
import { startPanelServer } from './panel-server.ts';

let installed: InstalledPackage;
beforeAll(async () => {
  installed = await installPackage();
}, 300_000);
afterAll(async () => {
  await installed[Symbol.asyncDispose]();
});

async function typeCheck(name: string, source: string, compilerOptions: object): Promise<void> {
  await installed.write(`${name}.ts`, source);
  await installed.write(`${name}.json`, JSON.stringify({ compilerOptions, files: [`${name}.ts`] }));
  await installed.run('tsc', ['-p', `${name}.json`]);
}

describe('what is in the package', () => {
  test('built files and documents, and nothing else', () => {
    const expected =
      /^(dist\/.*(\.js|\.d\.ts)|docs\/[a-z-]+\.md|(README|CHANGELOG|SECURITY)\.md|LICENSE|package\.json)$/;
    expect(installed.files.filter((file) => !expected.test(file))).toEqual([]);
    expect(installed.files).toContain('dist/client/index.js');
  });

  test('nothing that only a sandbox needs, and no test', () => {
    expect(installed.files.filter((file) => /^dist\/(guest|acp|tests)\/|\.test\./.test(file))).toEqual([]);
  });

  test('no path of this machine and no key', async () => {
    for (const file of installed.files) {
      const text = await readFile(join(installed.directory, 'node_modules/caisson', file), 'utf8');
      expect(text.includes(repositoryRoot), file).toBe(false);
      expect(text, file).not.toMatch(/\b(ck_[\w-]{43}|sk-[\w-]{20,})/);
    }
  });
});

describe('the package in a strict project, with its libraries checked', () => {
  test('its three entry points are typed, and events are told apart by their type', async () => {
    await typeCheck('typed', typedProgram, strictCompilerOptions);
  });

  test('a web project without the types of Node can use the client', async () => {
    await typeCheck('panel', panelProgram, browserCompilerOptions);
  });

  test('the TypeScript of docs/workspace.md, which is one program, compiles', async () => {
    const blocks = await codeBlocks(join(repositoryRoot, 'docs/workspace.md'), 'ts');
    await typeCheck('workspace', blocks.join('\n'), strictCompilerOptions);
  });

  test.each(['README.md', 'docs/api.md'])('the TypeScript of %s compiles as it stands', async (file) => {
    const blocks = await codeBlocks(join(repositoryRoot, file), 'ts');
    expect(blocks.length).toBeGreaterThan(0);
    for (const [index, block] of blocks.entries()) {
      await typeCheck(`${file.replace(/\W/g, '-')}-${index}`, block, strictCompilerOptions);
    }
  });
});

describe('the package at work', () => {
  test('the command line runs', async () => {
    expect(await installed.run('caisson', ['--version'])).toBe(`${installed.version}\n`);
    expect(await installed.run('caisson', ['agents', 'create', '--help'])).toContain('--wait');
  });

  test('a program starts a control plane and talks to it', async () => {
    await installed.write('running.js', runningProgram);
    const output = await installed.run('node', ['running.js']);
    expect(JSON.parse(output)).toEqual({ version: '7.7.7', role: 'admin' });
  });
});

describe('the client in a browser', () => {
  let script: string;
  let browser: Browser;
  beforeAll(async () => {
    const executablePath = await ensureChromium((line) => console.error(line));
    const args = [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
    ];
    browser = await chromium.launch({ executablePath, args });
  });
  afterAll(async () => {
    await browser.close();
  });

  test('it is bundled for browsers without a module of Node', async () => {
    await installed.write('panel.ts', panelProgram);
    const { outputFiles, metafile } = await build({
      entryPoints: [join(installed.directory, 'panel.ts')],
      bundle: true,
      format: 'esm',
      platform: 'browser',
      metafile: true,
      write: false,
      logLevel: 'silent',
    });
    const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
    expect(imports.filter((one) => one.external === true)).toEqual([]);
    script = outputFiles[0]?.text ?? '';
    expect(script.length).toBeLessThan(200_000);
  });

  test('it follows events live through the server of a panel, and reads errors as the control plane means them', async () => {
    await using controlPlane = await startServer();
    await using panel = await startPanelServer(script, controlPlane.url);
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(panel.url);
    await page.waitForFunction('typeof show === "function"');
    const seen: unknown = await page.evaluate(`show(${JSON.stringify(controlPlane.alice.secret)})`);
    expect(seen).toEqual(expect.arrayContaining(['agent.created', 'sandbox.status', 'conversation.opened']));
    expect(await page.evaluate('codeOfRefusal()')).toBe('UNAUTHORIZED');
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('it opens a terminal, types and resizes, and hears how the program ended', async () => {
    await using workspace = await startWorkspace();
    await using panel = await startPanelServer(script, workspace.url);
    const page = await browser.newPage();
    await page.goto(panel.url);
    await page.waitForFunction('typeof playTerminal === "function"');
    const args = [workspace.apiKey, workspace.agent.id].map((text) => JSON.stringify(text)).join();
    const text = 'ready\r\nhällo\r\ngot hällo\r\n23 91\r\n';
    expect(await page.evaluate(`playTerminal(${args})`)).toEqual({
      text,
      exit: { exitCode: 5, signal: null },
      offset: Buffer.byteLength(text),
    });
    await page.close();
  });

  test('a page of another origin is not let in', async () => {
    await using controlPlane = await startServer();
    await using stranger = await startPanelServer(script, controlPlane.url);
    const page = await browser.newPage();
    await page.goto(stranger.url);
    const refused = `fetch(${JSON.stringify(`${controlPlane.url}/trpc/system.version`)}, { headers: { authorization: 'Bearer x' } }).then(() => 'let in', (error) => error.name)`;
    expect(await page.evaluate(refused)).toBe('TypeError');
    await page.close();
  });
});
