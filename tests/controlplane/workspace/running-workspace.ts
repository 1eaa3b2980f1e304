import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { startControlPlane } from '../../../src/controlplane/index.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { InProcessProvider } from '../fleet/fleet-fixture.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';

/** A real control plane whose sandboxes are real guests in this process: all of the way but the walls. */
export interface RunningWorkspace extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: string;
  readonly adminKey: string;
  /** Of alice, a member, who owns `agent`. */
  readonly client: CaissonClient;
  readonly apiKey: string;
  /** Of bob, a member, who owns nothing. */
  readonly stranger: CaissonClient;
  readonly strangerKey: string;
  readonly agent: Agent;
  readonly provider: InProcessProvider;
  /** What the control plane logged, at every level. */
  readonly log: readonly LoggedLine[];
  /** The folders of the agent's sandbox on this machine: they stand for /workspace, the home and /tmp. */
  readonly roots: readonly [workspace: string, home: string, temporary: string];
}

export async function startWorkspace(environment: Readonly<Record<string, string>> = {}): Promise<RunningWorkspace> {
  await using undo = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'caisson-workspace-'));
  undo.defer(() => rm(dataDir, { recursive: true, force: true }));
  const log: LoggedLine[] = [];
  const provider = undo.use(new InProcessProvider());
  const controlPlane = undo.use(
    await startControlPlane({
      environment: { CAISSON_PORT: '0', CAISSON_DATA_DIR: dataDir, ...environment },
      provider,
      version: '0.0.0-test',
      logger: recordingLogger(log),
    }),
  );
  const { url } = controlPlane;
  const adminKey = (await readFile(join(dataDir, 'admin.key'), 'utf8')).trim();
  const admin = createCaissonClient({ url, apiKey: adminKey });
  const memberKey = async (user: string): Promise<string> =>
    (await admin.keys.create.mutate({ name: 'test', user, role: 'member' })).secret;
  const [apiKey, strangerKey] = [await memberKey('alice'), await memberKey('bob')];
  const client = createCaissonClient({ url, apiKey });
  const agent = await client.agents.create.mutate({ name: 'worker', wait: true });
  const roots = provider.running.get(agentIdSchema.parse(agent.id))?.roots;
  if (roots === undefined) throw new Error('the sandbox of the agent does not run');
  const held = undo.move();
  return {
    url,
    dataDir,
    adminKey,
    client,
    apiKey,
    stranger: createCaissonClient({ url, apiKey: strangerKey }),
    strangerKey,
    agent,
    provider,
    log,
    roots,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
