import { commandGroup } from '../command-group.ts';

export const auditCommand = commandGroup(
  'audit',
  'The audit: who did what, in a chain that shows every change to it. For administrators and auditors.',
  {
    search: async () => (await import('./audit-search.ts')).auditSearchCommand(),
    verify: async () => (await import('./audit-verify.ts')).auditVerifyCommand(),
    export: async () => (await import('./audit-export.ts')).auditExportCommand(),
  },
);
