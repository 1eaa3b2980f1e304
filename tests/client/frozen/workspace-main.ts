/** A workspace as a process of its own, which can be stopped. Says where it is, and ends with its input. */
import { once } from 'node:events';
import { startWorkspace } from '../../controlplane/workspace/running-workspace.ts';

await using workspace = await startWorkspace();
const { url, apiKey, agent } = workspace;
process.stdout.write(`${JSON.stringify({ url, apiKey, agentId: agent.id })}\n`);
await once(process.stdin.resume(), 'end');
