import { Argument, Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { connect } from '../connection.ts';
import { oneLine } from '../output/printable.ts';
import { stdout } from '../output/sink.ts';

export function egressDecideCommand(): Command {
  return new Command('decide')
    .description('Answer for every connection that waits for the same host. The first answer counts.')
    .argument('<request>', 'its id')
    .addArgument(
      new Argument(
        '<answer>',
        'once: those that wait; agent: a rule for the agent; always: a rule for all agents of its owner',
      ).choices(['once', 'agent', 'always', 'deny']),
    )
    .option(
      '--ports <ports>',
      'only at these, such as 443,80; the others are denied (default: all that wait)',
      (list) => list.split(',').map(wholeNumber(1, 65_535)),
    )
    .option('--why <text>', 'for whoever reads the rule later')
    .action(decide);
}

async function decide(
  requestId: string,
  answer: 'once' | 'agent' | 'always' | 'deny',
  { ports, why }: { readonly ports?: readonly number[]; readonly why?: string },
): Promise<void> {
  const client = await connect();
  const decided = await client.egress.decide.mutate({
    requestId,
    answer,
    ...(ports !== undefined && { ports }),
    ...(why !== undefined && { why }),
  });
  const words = answer === 'deny' ? 'Denied' : `Allowed (${answer})`;
  await stdout.write(`${words}: ${oneLine(decided.host)} at ${decided.ports.join(' ')}\n`);
}
