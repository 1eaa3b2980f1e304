import { Command } from 'commander';
import { adminDestroyCommand } from './admin-destroy.ts';
import { adminOverviewCommand } from './admin-overview.ts';
import { adminSandboxesCommand } from './admin-sandboxes.ts';
import { adminStopCommand } from './admin-stop.ts';
import { adminUsageCommand } from './admin-usage.ts';

export function adminCommand(): Command {
  return new Command('admin')
    .description('How the system is, everyone’s sandboxes, and what each user takes. For administrators and auditors.')
    .addCommand(adminOverviewCommand())
    .addCommand(adminSandboxesCommand())
    .addCommand(adminStopCommand())
    .addCommand(adminDestroyCommand())
    .addCommand(adminUsageCommand());
}
