import { commandGroup } from '../command-group.ts';

export const adminCommand = commandGroup(
  'admin',
  "How the system is, everyone's sandboxes, and what each user takes. For administrators and auditors.",
  {
    overview: async () => (await import('./admin-overview.ts')).adminOverviewCommand(),
    sandboxes: async () => (await import('./admin-sandboxes.ts')).adminSandboxesCommand(),
    stop: async () => (await import('./admin-stop.ts')).adminStopCommand(),
    destroy: async () => (await import('./admin-destroy.ts')).adminDestroyCommand(),
    usage: async () => (await import('./admin-usage.ts')).adminUsageCommand(),
  },
);
