import { commandGroup } from '../command-group.ts';

export const egressCommand = commandGroup(
  'egress',
  'Where agents may connect to, what waits for a decision, and what was connected to.',
  {
    show: async () => (await import('./egress-show.ts')).egressShowCommand(),
    mode: async () => (await import('./egress-mode.ts')).egressModeCommand(),
    allow: async () => (await import('./egress-add.ts')).egressAddCommand('allow'),
    permit: async () => (await import('./egress-add.ts')).egressAddCommand('permit'),
    deny: async () => (await import('./egress-add.ts')).egressAddCommand('deny'),
    remove: async () => (await import('./egress-remove.ts')).egressRemoveCommand(),
    test: async () => (await import('./egress-test.ts')).egressTestCommand(),
    presets: async () => (await import('./egress-presets.ts')).egressPresetsCommand(),
    pending: async () => (await import('./egress-pending.ts')).egressPendingCommand(),
    decide: async () => (await import('./egress-decide.ts')).egressDecideCommand(),
    log: async () => (await import('./egress-log.ts')).egressLogCommand(),
    usage: async () => (await import('./egress-usage.ts')).egressUsageCommand(),
  },
);
