import { commandGroup } from '../command-group.ts';

export const quotasCommand = commandGroup('quotas', 'Quotas: who may use how much of what, and what is used.', {
  show: async () => (await import('./quotas-show.ts')).quotasShowCommand(),
  set: async () => (await import('./quotas-set.ts')).quotasSetCommand(),
  plans: async () => (await import('./quotas-plans.ts')).quotasPlansCommand(),
  'set-plan': async () => (await import('./quotas-set-plan.ts')).quotasSetPlanCommand(),
  'remove-plan': async () => (await import('./quotas-remove-plan.ts')).quotasRemovePlanCommand(),
});
