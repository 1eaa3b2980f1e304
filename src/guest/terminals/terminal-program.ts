import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { CaissonError } from '../../kernel/errors.ts';
import type { OpenTerminal } from '../../wire/contract/terminals.ts';

const shell = '/bin/bash';
const user = 'agent';

/** Of the guest's own environment, what programs in a terminal may need; all else of it is the guest's business. */
const handedOn =
  /^(?:(?:https?|all|no)_proxy|node_use_env_proxy|node_extra_ca_certs|ssl_cert_(?:file|dir)|(?:curl|requests)_ca_bundle|git_ssl_cainfo|pip_cert|cargo_http_cainfo|tz)$/i;

interface TerminalProgram {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * What is run in a new terminal, with its clean environment. `workspace` and `home` are the first two roots. BAD_REQUEST for
 * a folder or a program that is not there.
 */
export async function terminalProgram(
  request: OpenTerminal,
  [workspace = '/workspace', home = '/home/agent']: readonly string[],
): Promise<TerminalProgram> {
  const cwd = resolve(workspace, request.cwd ?? '.');
  if (!cwd.isWellFormed())
    throw new CaissonError('BAD_REQUEST', 'A terminal cannot start in a folder whose name is not UTF-8.');
  const isFolder = await stat(cwd).then(
    (found) => found.isDirectory(),
    () => false, // whatever the reason: nobody can work there
  );
  if (!isFolder) throw new CaissonError('BAD_REQUEST', `There is no folder ${cwd} in the sandbox.`);
  const env = environment(home, request.env ?? {});
  const [program = shell, ...args] = request.command ?? [shell];
  return { file: await findProgram(program, cwd, env['PATH'] ?? ''), args, cwd, env };
}

function environment(home: string, own: Readonly<Record<string, string>>): Record<string, string> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => handedOn.test(entry[0]));
  return {
    ...Object.fromEntries(inherited),
    HOME: home,
    USER: user,
    LOGNAME: user,
    SHELL: shell,
    PATH: `${home}/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin`,
    LANG: 'C.UTF-8',
    TERM: 'xterm-256color',
    COLORTERM: 'truecolor',
    ...own,
  };
}

/** As execvp looks for it; node-pty would only print that it is not there. */
async function findProgram(program: string, cwd: string, path: string): Promise<string> {
  const places = program.includes('/') ? [cwd] : path.split(delimiter).map((folder) => folder || cwd);
  for (const place of places) {
    const file = program.startsWith('/') ? program : join(place, program);
    const runs = await Promise.all([access(file, constants.X_OK), stat(file)]).then(
      ([, found]) => found.isFile(),
      () => false, // not this one
    );
    if (runs) return file;
  }
  throw new CaissonError('BAD_REQUEST', `There is no program "${program.slice(0, 200)}" in the sandbox.`, {
    hint: 'Check its name and that it may be run. Shell text needs a shell: `bash -c "…"`.',
  });
}
