import { Command } from 'commander';
import { confirm } from '../confirm.ts';
import { connect } from '../connection.ts';
import { findSandbox } from '../find-sandbox.ts';
import { stdout } from '../output/sink.ts';

export function adminDestroyCommand(): Command {
  return new Command('destroy')
    .description(
      "Remove a sandbox with all of its files, whoever's. Its agent stays, and gets a new, empty one when it is needed. This cannot be taken back.",
    )
    .argument('<agent>', 'its id, or the name of your own')
    .option('--yes', 'do not ask')
    .action(destroy);
}

async function destroy(nameOrId: string, { yes = false }: { readonly yes?: boolean }): Promise<void> {
  const client = await connect();
  const agentId = await findSandbox(client, nameOrId, { onlyOwn: true });
  if (!yes) {
    await confirm(`Remove the sandbox of ${nameOrId} with all of its files? [y/N] `, {
      refusal: 'Removing a sandbox needs --yes where nobody can be asked.',
      hint: `caisson admin destroy ${nameOrId} --yes`,
      unchanged: 'Nothing was removed.',
    });
  }
  const { existed } = await client.admin.sandboxes.destroy.mutate({ agentId });
  await stdout.write(existed ? `Removed the sandbox of ${nameOrId}\n` : `There is no sandbox of ${nameOrId}\n`);
}
