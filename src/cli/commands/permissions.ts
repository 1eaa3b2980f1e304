import { Command } from 'commander';
import { permissionsAnswerCommand } from './permissions-answer.ts';
import { permissionsListCommand } from './permissions-list.ts';

export function permissionsCommand(): Command {
  return new Command('permissions')
    .description(
      'Permission requests: what an agent may do only when a person says so. One that nobody answers expires.',
    )
    .addCommand(permissionsListCommand())
    .addCommand(permissionsAnswerCommand());
}
