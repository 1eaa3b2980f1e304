import { Command } from 'commander';
import type { CaissonClient, Preview } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { durationMs, jsonOption, wholeNumber } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { openInBrowser } from '../open-in-browser.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import type { Column } from '../output/table.ts';

interface Options {
  readonly expires?: number;
  readonly shared?: boolean;
  readonly open?: boolean;
  readonly list?: boolean;
  readonly revoke?: string;
  readonly json?: boolean;
}

export function previewCommand(): Command {
  return new Command('preview')
    .description(
      "Make a link to a port of an agent's sandbox, for a browser. It works once, for whoever opens it first; with --shared for everyone who has it.",
    )
    .argument('<agent>', 'id or name')
    .argument('[port]', 'where the app listens in the sandbox', wholeNumber(1, 65_535))
    .option('--expires <time>', 'how long it lasts, e.g. 30m, 8h or 7d (default: 1h)', durationMs({ least: '1s' }))
    .option('--shared', 'for everyone who has the link')
    .option('--open', 'open it in the browser')
    .option('--list', 'list the previews of the agent instead, or those of the port')
    .option('--revoke <id>', 'end a preview instead, with all that is open through it; `all` ends every one')
    .addOption(jsonOption('it'))
    .action(preview);
}

async function preview(nameOrId: string, port: number | undefined, options: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  if (options.revoke !== undefined) return await revoke(client, agentId, options);
  if (options.list === true) return await list(client, agentId, port, options);
  if (port === undefined) {
    throw new CaissonError('BAD_REQUEST', 'Which port? None was given.', {
      hint: `\`caisson ports ${nameOrId}\` lists those that listen.`,
    });
  }
  const { expires: expiresIn, shared = false } = options;
  const access = shared ? 'shared' : 'owner';
  const made = await client.previews.create.mutate({ agentId, port, access, expiresIn });
  if (options.json === true) await writeJson(made);
  else {
    await stdout.write(`${made.url}\n`);
    const who = shared ? 'Works for everyone who has it' : 'Works once, for whoever opens it first';
    const note = `${who}; ends ${relativeTime(made.expiresAt, Date.now())}. ${made.id}`;
    await stderr.write(`${stderr.style('dim', note)}\n`);
  }
  if (options.open === true) await openInBrowser(made.url);
}

async function list(
  client: CaissonClient,
  agentId: string,
  port: number | undefined,
  { json = false }: Options,
): Promise<void> {
  const { items } = await client.previews.list.query({ agentId });
  const rows = items.filter((preview) => port === undefined || preview.port === port);
  await printListing({ rows, columns: columnsAt(Date.now()), json, empty: 'No previews.' });
}

async function revoke(
  client: CaissonClient,
  agentId: string,
  { revoke: which = '', json = false }: Options,
): Promise<void> {
  const { items } = await client.previews.list.query({ agentId });
  const wanted = items.filter(({ id, state }) => (which === 'all' ? state === 'active' : id === which));
  if (which !== 'all' && wanted.length === 0) {
    throw new CaissonError('PREVIEW_NOT_FOUND', `The agent has no preview ${which}.`);
  }
  const revoked: Preview[] = [];
  for (const { id: previewId } of wanted) revoked.push(await client.previews.revoke.mutate({ previewId }));
  if (json) return await writeJson(revoked);
  for (const { id, port } of revoked) await stdout.write(`Revoked ${id} of port ${port}\n`);
  if (revoked.length === 0) await stderr.write('No previews to revoke.\n');
}

function columnsAt(now: number): Column<Preview>[] {
  return [
    { title: 'preview', value: ({ id }) => id },
    { title: 'port', value: ({ port }) => String(port), align: 'right' },
    { title: 'access', value: ({ access }) => access },
    { title: 'state', value: ({ state }) => state, style: ({ state }) => (state === 'active' ? 'green' : 'dim') },
    {
      title: 'ends',
      value: ({ state, expiresAt, revokedAt }) =>
        state === 'active'
          ? relativeTime(expiresAt, now)
          : relativeTime(Math.min(revokedAt ?? expiresAt, expiresAt), now),
    },
    {
      title: 'opened',
      value: ({ openedAt }) => (openedAt === null ? 'never' : relativeTime(openedAt, now)),
      whenNarrow: 'leave-out',
    },
    { title: 'origin', value: ({ origin }) => origin, whenNarrow: 'leave-out' },
  ];
}
