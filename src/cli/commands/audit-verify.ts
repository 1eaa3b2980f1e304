import { Command, InvalidArgumentError } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';

interface Head {
  readonly seq: number;
  readonly hash: string;
}

interface Options {
  readonly known?: Head;
  readonly json?: boolean;
}

export function auditVerifyCommand(): Command {
  return new Command('verify')
    .description(
      'Walk the whole chain of records; ends with 1 and names the first record that was changed, taken out or added. Prints the head: note it down elsewhere, and give it as --known later, which also finds a chain that was made anew.',
    )
    .option('--known <seq:hash>', 'a head that was printed before', head)
    .addOption(jsonOption('the result'))
    .action(verify);
}

function head(text: string): Head {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw new InvalidArgumentError('It must be a number and a hash, as `caisson audit verify` prints them.');
  }
  return { seq: Number(seq), hash };
}

const reasons = {
  missing: 'is missing',
  altered: 'is not what was written',
  replaced: 'is not the one that was there',
} as const;

async function verify({ known, json = false }: Options): Promise<void> {
  const client = await connect();
  const result = await client.audit.verify.query(known === undefined ? {} : { known });
  if (json) {
    await writeJson(result);
    if (result.broken !== null) process.exitCode = exitCodes.failed;
    return;
  }
  if (result.broken !== null) {
    const { seq, reason } = result.broken;
    throw new CaissonError('AUDIT_BROKEN', `Record ${seq} of the audit ${reasons[reason]}.`, { details: result });
  }
  await stdout.write(`${result.head.seq}:${result.head.hash}\n`);
  const pruned = result.prunedThrough === 0 ? '' : `; those up to ${result.prunedThrough} are past their retention`;
  await stderr.write(`${stderr.style('dim', `The chain of ${result.records} records is whole${pruned}.`)}\n`);
}
