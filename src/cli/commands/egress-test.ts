import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { oneLine } from '../output/printable.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function egressTestCommand(): Command {
  return new Command('test')
    .description('Say what would become of a connection, and by whose word. Nothing is connected.')
    .argument('<agent>', 'id or name')
    .argument('<host>', 'with its port, e.g. example.com:22 (without: 443)')
    .addOption(jsonOption('the answer'))
    .action(test);
}

const sources = {
  settings: 'the settings of the control plane',
  operator: 'the policy of everyone',
  ceiling: "the user's ceiling",
  user: 'what the user always allows or denies',
  agent: 'the policy of the agent',
} as const;

async function test(nameOrId: string, text: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const [, host = text, port] = /^(\[[^\]]*\]|[^:]+):(\d{1,5})$/.exec(text) ?? [];
  const answer = await client.egress.policy.test.query({
    agentId,
    host,
    ...(port !== undefined && { port: Number(port) }),
  });
  if (json) return await writeJson(answer);
  const { verdict, source, rule } = answer;
  const word = stdout.style(verdict === 'allow' ? 'green' : verdict === 'deny' ? 'red' : 'yellow', verdict);
  // The settings deny nothing else.
  const isWall = verdict === 'deny' && source === 'settings';
  const by = `${rule === null ? 'no rule' : oneLine(rule)}, ${sources[source]}`;
  const whose = isWall ? 'not public: only CAISSON_EGRESS_INTERNAL can allow it' : by;
  await stdout.write(`${word}  ${oneLine(answer.host)}:${answer.port}  ${whose}\n`);
}
