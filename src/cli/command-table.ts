import type { Command } from 'commander';

interface CommandRow {
  /** Under which the help has it. */
  readonly group: string;
  readonly summary: string;
  /**
   * Imports the command only when it is asked for: starting up must not cost what is not used. `asked`: the word after it, which
   * may be a command of its own.
   */
  readonly load: (asked?: string) => Promise<Command>;
}

/** The commands, in the order of the help, those of a group together. */
export const commandTable: Readonly<Record<string, CommandRow>> = {
  start: {
    group: 'Control plane',
    summary: 'start the control plane here',
    load: async () => (await import('./commands/start.ts')).startCommand(),
  },
  doctor: {
    group: 'Control plane',
    summary: 'say what is there and what is missing',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
  admin: {
    group: 'Control plane',
    summary: "show the system, and everyone's sandboxes and usage",
    load: async (asked) => (await import('./commands/admin.ts')).adminCommand(asked),
  },
  agents: {
    group: 'Agents and what is said',
    summary: 'create, list, show, share and delete agents',
    load: async (asked) => (await import('./commands/agents.ts')).agentsCommand(asked),
  },
  send: {
    group: 'Agents and what is said',
    summary: 'send a message and wait for the answer',
    load: async () => (await import('./commands/send.ts')).sendCommand(),
  },
  chat: {
    group: 'Agents and what is said',
    summary: 'talk with an agent',
    load: async () => (await import('./commands/chat.ts')).chatCommand(),
  },
  history: {
    group: 'Agents and what is said',
    summary: 'show what was said',
    load: async () => (await import('./commands/history.ts')).historyCommand(),
  },
  events: {
    group: 'Agents and what is said',
    summary: 'print what happened, one JSON object a line',
    load: async () => (await import('./commands/events.ts')).eventsCommand(),
  },
  conversations: {
    group: 'Agents and what is said',
    summary: 'open, list, show, configure and close conversations',
    load: async (asked) => (await import('./commands/conversations.ts')).conversationsCommand(asked),
  },
  runs: {
    group: 'Agents and what is said',
    summary: 'start, wait for, list and cancel runs',
    load: async (asked) => (await import('./commands/runs.ts')).runsCommand(asked),
  },
  permissions: {
    group: 'Agents and what is said',
    summary: 'list and answer what agents ask for',
    load: async (asked) => (await import('./commands/permissions.ts')).permissionsCommand(asked),
  },
  acp: {
    group: 'Agents and what is said',
    summary: 'serve an agent on stdio to an editor that speaks ACP',
    load: async () => (await import('./commands/acp.ts')).acpCommand(),
  },
  files: {
    group: 'Workspace',
    summary: 'list, read, write, search, watch and copy files',
    load: async (asked) => (await import('./commands/files.ts')).filesCommand(asked),
  },
  diff: {
    group: 'Workspace',
    summary: 'show what changed in the workspace',
    load: async () => (await import('./commands/diff.ts')).diffCommand(),
  },
  restore: {
    group: 'Workspace',
    summary: 'put files back as they were before a run',
    load: async () => (await import('./commands/restore.ts')).restoreCommand(),
  },
  checkpoints: {
    group: 'Workspace',
    summary: 'list what files can be put back to',
    load: async () => (await import('./commands/checkpoints.ts')).checkpointsCommand(),
  },
  exec: {
    group: 'Sandbox',
    summary: 'run a command in the sandbox of an agent',
    load: async () => (await import('./commands/exec.ts')).execCommand(),
  },
  ps: {
    group: 'Sandbox',
    summary: 'show what runs in the sandbox of an agent',
    load: async () => (await import('./commands/ps.ts')).psCommand(),
  },
  logs: {
    group: 'Sandbox',
    summary: 'print the output of a process in the background',
    load: async () => (await import('./commands/logs.ts')).logsCommand(),
  },
  kill: {
    group: 'Sandbox',
    summary: 'end a process in the sandbox of an agent',
    load: async () => (await import('./commands/kill.ts')).killCommand(),
  },
  shell: {
    group: 'Sandbox',
    summary: "open a terminal in an agent's sandbox, or come back to one",
    load: async () => (await import('./commands/shell.ts')).shellCommand(),
  },
  ports: {
    group: 'Sandbox',
    summary: 'list what listens in a sandbox',
    load: async () => (await import('./commands/ports.ts')).portsCommand(),
  },
  preview: {
    group: 'Sandbox',
    summary: 'make, list and revoke links to apps in a sandbox',
    load: async () => (await import('./commands/preview.ts')).previewCommand(),
  },
  forward: {
    group: 'Sandbox',
    summary: 'make a port of a sandbox reachable on this machine',
    load: async () => (await import('./commands/forward.ts')).forwardCommand(),
  },
  egress: {
    group: 'Walls and meters',
    summary: 'say where agents may connect to, and see where they did',
    load: async (asked) => (await import('./commands/egress.ts')).egressCommand(asked),
  },
  secrets: {
    group: 'Walls and meters',
    summary: 'give hosts tokens that no sandbox sees',
    load: async (asked) => (await import('./commands/secrets.ts')).secretsCommand(asked),
  },
  usage: {
    group: 'Walls and meters',
    summary: 'show what agents took of models, and what it cost',
    load: async () => (await import('./commands/usage.ts')).usageCommand(),
  },
  quotas: {
    group: 'Walls and meters',
    summary: 'show and change what may be used, and what is',
    load: async (asked) => (await import('./commands/quotas.ts')).quotasCommand(asked),
  },
  users: {
    group: 'People',
    summary: 'list, invite, disable and delete users',
    load: async (asked) => (await import('./commands/users.ts')).usersCommand(asked),
  },
  keys: {
    group: 'People',
    summary: 'create, list and revoke API keys',
    load: async (asked) => (await import('./commands/keys.ts')).keysCommand(asked),
  },
  sessions: {
    group: 'People',
    summary: 'list the browsers signed in as you, and sign them out',
    load: async (asked) => (await import('./commands/sessions.ts')).sessionsCommand(asked),
  },
  audit: {
    group: 'People',
    summary: 'search, export and verify the record of who did what',
    load: async (asked) => (await import('./commands/audit.ts')).auditCommand(asked),
  },
};
