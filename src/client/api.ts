import type { inferProcedureOutput, inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { AppRouter } from '../controlplane/api/app-router.ts';

export type { AppRouter };

/** What each procedure takes, e.g. `ApiInputs['agents']['create']`. */
export type ApiInputs = inferRouterInputs<AppRouter>;
/** What each procedure answers, e.g. `ApiOutputs['agents']['status']`. */
export type ApiOutputs = inferRouterOutputs<AppRouter>;

/** A named coding agent. */
export type Agent = ApiOutputs['agents']['get'];
/** Everything that is needed to show an agent; `seq` is where to subscribe from. */
export type AgentSnapshot = ApiOutputs['agents']['status'];
export type Conversation = ApiOutputs['conversations']['get'];
/** What a person or an agent said, kept for ever. */
export type Message = ApiOutputs['agents']['history']['items'][number];
/** One turn: from an accepted message to exactly one terminal state. */
export type Run = ApiOutputs['runs']['get'];
/** One record of an agent's log, told apart by `type`. It is JSON, so it needs no mapping from the server's type. */
export type AgentEvent = inferProcedureOutput<AppRouter['events']['read']>['events'][number];
/** A question of an agent to the people who may decide. */
export type Permission = ApiOutputs['permissions']['list']['items'][number];
/** A file that differs from what it was. */
export type Change = ApiOutputs['changes']['status']['items'][number];
/** The same, with its unified diff. */
export type FileDiff = ApiOutputs['changes']['diff']['items'][number];
/** How the workspace was, before a run or a restore. */
export type Checkpoint = ApiOutputs['changes']['checkpoints']['items'][number];
/** A terminal of a sandbox: what runs on it, who is attached, how it ended. */
export type Terminal = ApiOutputs['terminals']['get'];
/** Something that listens in an agent's sandbox. */
export type ListeningPort = ApiOutputs['ports']['list']['items'][number];
/** A way to a port of an agent's sandbox, without the secret of its link. */
export type Preview = ApiOutputs['previews']['get'];
/** Who may come in, and as what. */
export type User = ApiOutputs['users']['get'];
/** With whom an agent is shared. */
export type Share = ApiOutputs['agents']['shares']['items'][number];
/** What somebody may use, and has used. */
export type QuotaStatement = ApiOutputs['quotas']['get'];
/** Whose it is. */
export type QuotaHolder = ApiInputs['quotas']['set']['of'];
export type QuotaPlan = ApiOutputs['quotas']['plans']['items'][number];
/** Sums of model calls: tokens and cost. */
export type UsageTotal = ApiOutputs['usage']['totals']['items'][number];
/** One model call that took tokens. */
export type ModelCall = ApiOutputs['usage']['calls']['items'][number];
/** Who may go where: of an agent, of everyone, or of a user. */
export type EgressPolicy = ApiOutputs['egress']['policy']['get'];
export type EgressRule = EgressPolicy['rules'][number];
/** A secret for a host, without its value. */
export type Secret = ApiOutputs['secrets']['list']['items'][number];
/** Connections to one place within one hour. */
export type EgressLogEntry = ApiOutputs['egress']['log']['items'][number];
/** An API key without its secret. */
export type ApiKey = ApiOutputs['keys']['list']['items'][number];
/** What a control plane is, and who the caller is to it. */
export type ControlPlane = ApiOutputs['system']['version'];
/** Numbers of agents, by the state of their sandbox. */
export type SandboxCounts = ApiOutputs['system']['sandboxes'];
/** A sandbox as its provider has it, with whose it is. */
export type KnownSandbox = ApiOutputs['admin']['sandboxes']['list']['items'][number];
/** How the machine and the control plane are. */
export type SystemOverview = ApiOutputs['admin']['overview'];
/** What one user has, and has used. */
export type UserUsage = ApiOutputs['admin']['usage']['items'][number];
/** A process that was started in a sandbox through the API. */
export type Process = ApiOutputs['processes']['get'];
/** Everything that runs in a sandbox. */
export type ProcessList = ApiOutputs['processes']['list'];
export type ProcessSignal = ApiInputs['processes']['signal']['signal'];
/** One link of the audit's chain: who did what. */
export type AuditRecord = ApiOutputs['audit']['search']['items'][number];
