import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { client, type ClientConnection, methods, ndJsonStream } from '@agentclientprotocol/sdk/unstable';
import { repositoryRoot } from '../../../scripts/harness-install.ts';

const image = join(repositoryRoot, 'images/sandbox');
export const adapter = join(image, 'node_modules/@agentclientprotocol/codex-acp/dist/index.js');
const vendors = { x64: 'x86_64-unknown-linux-musl', arm64: 'aarch64-unknown-linux-musl' } as const;

/** What the host's Codex needs on disk: the image's configuration with the model service of the benchmark. */
export interface CodexHome {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A home that no Codex has used yet, in the empty `directory`. Homes share the adapter's code cache, as the image has one. */
export async function makeCodexHome(
  directory: string,
  { modelUrl, codeCache }: { readonly modelUrl: string; readonly codeCache: string },
): Promise<CodexHome> {
  const codexHome = join(directory, '.codex');
  await mkdir(codexHome, { recursive: true });
  await mkdir(join(directory, 'workspace'), { recursive: true });
  const config = await readFile(join(image, 'etc/codex/config.toml'), 'utf8');
  await writeFile(join(codexHome, 'config.toml'), config.replace(/^base_url = .*$/m, `base_url = "${modelUrl}"`));
  await cp(join(image, 'etc/codex/rules'), join(codexHome, 'rules'), { recursive: true });
  const vendor = join(image, `node_modules/@openai/codex-linux-${process.arch}/vendor`, vendorFolder());
  return {
    directory,
    environment: {
      PATH: [join(vendor, 'codex-path'), join(vendor, 'codex-resources'), process.env['PATH']].join(delimiter),
      HOME: directory,
      CODEX_HOME: codexHome,
      CODEX_PATH: join(vendor, 'bin/codex'),
      NODE_COMPILE_CACHE: codeCache,
      NO_BROWSER: '1',
    },
  };
}

/** codex-acp on this machine, driven by the ACP SDK and by nothing else: the floor under every turn of Caisson. */
export class HostCodex implements AsyncDisposable {
  /** Called with each piece of what the agent says. */
  onText: (text: string) => void = () => undefined;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #workspace: string;
  readonly #connection: ClientConnection;

  private constructor(home: CodexHome) {
    this.#workspace = join(home.directory, 'workspace');
    this.#child = spawn(process.execPath, [adapter], { env: home.environment, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#connection = client({ name: 'bench' })
      .onNotification(methods.client.session.update, ({ params: { update } }) => {
        if (update.sessionUpdate !== 'agent_message_chunk' || update.content.type !== 'text') return;
        this.onText(update.content.text);
      })
      .connect(ndJsonStream(Writable.toWeb(this.#child.stdin), Readable.toWeb(this.#child.stdout)));
  }

  /** Spawns the program and initializes it. */
  static async start(home: CodexHome): Promise<HostCodex> {
    const codex = new HostCodex(home);
    await codex.#connection.agent.request(methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} });
    return codex;
  }

  async openSession(): Promise<string> {
    const { sessionId } = await this.#connection.agent.request(methods.agent.session.new, {
      cwd: this.#workspace,
      mcpServers: [],
    });
    return sessionId;
  }

  /** Keeps the adapter from asking the model for a title after the first turn. */
  async setTitle(sessionId: string): Promise<void> {
    await this.#connection.agent.request(methods.agent.session.setTitle, { sessionId, title: 'bench' });
  }

  /** One turn; resolves with its end. */
  async prompt(sessionId: string, text: string): Promise<void> {
    const { stopReason } = await this.#connection.agent.request(methods.agent.session.prompt, {
      sessionId,
      prompt: [{ type: 'text', text }],
    });
    if (stopReason !== 'end_turn') throw new Error(`the host's turn ended with ${stopReason}`);
  }

  /** Lets the program end by itself, which takes it 2 s. Only then does Node fill its code cache. */
  async end(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.stdin.end();
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }
}

function vendorFolder(): string {
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') throw new Error(`there is no Codex for ${arch}`);
  return vendors[arch];
}
