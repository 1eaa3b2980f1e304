import { Command } from 'commander';
import { auditExportCommand } from './audit-export.ts';
import { auditSearchCommand } from './audit-search.ts';
import { auditVerifyCommand } from './audit-verify.ts';

export function auditCommand(): Command {
  return new Command('audit')
    .description('The audit: who did what, in a chain that shows every change to it. For administrators and auditors.')
    .addCommand(auditSearchCommand())
    .addCommand(auditVerifyCommand())
    .addCommand(auditExportCommand());
}
