import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { testCertificate } from './certificates.ts';
import { npmTarball, pythonWheel } from './packages.ts';

/**
 * A registry of npm, one of Python and a git server, over TLS on one port of this machine; and again a registry, a git server
 * and an API that take only who shows what they ask for.
 */
export interface Internet extends AsyncDisposable {
  readonly port: number;
  /** `<method> <host> <path>` of each request. */
  readonly requests: readonly string[];
}

export const internetHosts = {
  npm: 'npm.caisson.test',
  python: 'pypi.caisson.test',
  git: 'git.caisson.test',
  privateNpm: 'private-npm.caisson.test',
  privateGit: 'private-git.caisson.test',
  api: 'api.caisson.test',
} as const;

/** What the private ones want to see. */
export const internetSecrets = {
  npm: 'npm_0123456789abcdefghijklmnopqrstuvwxyz',
  git: { username: 'x-access-token', password: 'ghp_0123456789abcdefghijklmnopqrstuvwxyz' },
  api: 'api-0123456789abcdefghijklmnopqrstuvwxyz',
} as const;

/** `directory` is an empty one, for the repository `project.git`, which holds a README. */
export async function startInternet(directory: string): Promise<Internet> {
  await makeRepository(directory);
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(testCertificate, (request, response) => {
    const host = request.headers.host ?? '';
    requests.push(`${request.method} ${host.split(':')[0]} ${request.url}`);
    if (host.startsWith(internetHosts.npm)) serveNpm(request, response);
    else if (host.startsWith(internetHosts.python)) servePython(request, response);
    else if (host.startsWith(internetHosts.git)) void serveGit(directory, request, response);
    else if (host.startsWith(internetHosts.privateNpm)) {
      if (isShown(request, response, `Bearer ${internetSecrets.npm}`)) serveNpm(request, response);
    } else if (host.startsWith(internetHosts.privateGit)) {
      const { username, password } = internetSecrets.git;
      const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      if (isShown(request, response, basic)) void serveGit(directory, request, response, username);
    } else if (host.startsWith(internetHosts.api)) {
      if (isShown(request, response, `Bearer ${internetSecrets.api}`)) response.end(JSON.stringify(request.headers));
    } else response.writeHead(404).end();
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers whoever shows something else as hosts do, which makes clients ask for a password. */
function isShown({ headers }: IncomingMessage, response: ServerResponse, wanted: string): boolean {
  if (headers.authorization === wanted) return true;
  response.writeHead(401, { 'www-authenticate': `${wanted.split(' ', 1)[0]} realm="private"` }).end('Who are you?');
  return false;
}

function serveNpm(request: IncomingMessage, response: ServerResponse): void {
  const { headers, url, method } = request;
  if (method === 'PUT') {
    // What is published is taken, and forgotten.
    request.resume().once('end', () => response.writeHead(201, { 'content-type': 'application/json' }).end('{}'));
    return;
  }
  const tarball = '/caisson-probe/-/caisson-probe-1.0.0.tgz';
  if (url === tarball) return void response.end(npmTarball);
  if (url !== '/caisson-probe') return void response.writeHead(404).end();
  const dist = {
    tarball: `https://${headers.host}${tarball}`,
    integrity: `sha512-${createHash('sha512').update(npmTarball).digest('base64')}`,
  };
  const versions = { '1.0.0': { name: 'caisson-probe', version: '1.0.0', main: 'index.js', dist } };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ name: 'caisson-probe', 'dist-tags': { latest: '1.0.0' }, versions }));
}

function servePython({ url }: IncomingMessage, response: ServerResponse): void {
  const wheel = '/files/caisson_probe-1.0.0-py3-none-any.whl';
  if (url === wheel) return void response.end(pythonWheel);
  if (url !== '/simple/caisson-probe/') return void response.writeHead(404).end();
  const digest = createHash('sha256').update(pythonWheel).digest('hex');
  response.setHeader('content-type', 'text/html');
  response.end(`<!DOCTYPE html><a href="${wheel}#sha256=${digest}">caisson_probe-1.0.0-py3-none-any.whl</a>`);
}

/** git's own server, as web servers run it. */
async function serveGit(
  directory: string,
  request: IncomingMessage,
  response: ServerResponse,
  user?: string,
): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      ...(user !== undefined && { REMOTE_USER: user }), // who may push
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: query,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined); // it has read enough
  let head = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    if (response.headersSent) return void response.write(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(': ', 2);
      if (name === 'Status') response.statusCode = Number(value.slice(0, 3));
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
  });
  child.stdout.once('end', () => response.end());
}

async function makeRepository(directory: string): Promise<void> {
  const run = promisify(execFile);
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@caisson.test', '-c', 'init.defaultBranch=main'];
  const bare = join(directory, 'project.git');
  await run('git', [...identity, 'init', '--quiet', '--bare', bare]);
  const git = async (args: readonly string[], input = ''): Promise<string> => {
    const running = run('git', [...identity, '--git-dir', bare, ...args]);
    running.child.stdin?.on('error', () => undefined).end(input); // who reads nothing is gone before
    return (await running).stdout.trim();
  };
  const blob = await git(['hash-object', '-w', '--stdin'], 'a project from afar\n');
  const tree = await git(['mktree'], `100644 blob ${blob}\tREADME\n`);
  const commit = await git(['commit-tree', '-m', 'The beginning', tree]);
  await git(['update-ref', 'refs/heads/main', commit]);
}
