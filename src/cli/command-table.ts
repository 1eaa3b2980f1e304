import type { Command } from 'commander';

interface CommandRow {
  readonly summary: string;
  /** Imports the command only when it is asked for: starting up must not cost what is not used. */
  readonly load: () => Promise<Command>;
}

/** The commands, in the order of the help. */
export const commandTable: Readonly<Record<string, CommandRow>> = {
  start: {
    summary: 'start the control plane here',
    load: async () => (await import('./commands/start.ts')).startCommand(),
  },
  doctor: {
    summary: 'say what is there and what is missing',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
  agents: {
    summary: 'create, list, show, share and delete agents',
    load: async () => (await import('./commands/agents.ts')).agentsCommand(),
  },
  send: {
    summary: 'send a message and wait for the answer',
    load: async () => (await import('./commands/send.ts')).sendCommand(),
  },
  chat: {
    summary: 'talk with an agent',
    load: async () => (await import('./commands/chat.ts')).chatCommand(),
  },
  history: {
    summary: 'show what was said',
    load: async () => (await import('./commands/history.ts')).historyCommand(),
  },
  events: {
    summary: 'print what happened, one JSON object a line',
    load: async () => (await import('./commands/events.ts')).eventsCommand(),
  },
  files: {
    summary: 'list, read, write, search, watch and copy the files of an agent',
    load: async () => (await import('./commands/files.ts')).filesCommand(),
  },
  runs: {
    summary: 'start, wait for, list and cancel runs',
    load: async () => (await import('./commands/runs.ts')).runsCommand(),
  },
  conversations: {
    summary: 'open, list, show, configure and close conversations',
    load: async () => (await import('./commands/conversations.ts')).conversationsCommand(),
  },
  diff: {
    summary: 'show what changed in the workspace',
    load: async () => (await import('./commands/diff.ts')).diffCommand(),
  },
  restore: {
    summary: 'put files back as they were before a run',
    load: async () => (await import('./commands/restore.ts')).restoreCommand(),
  },
  checkpoints: {
    summary: 'list what files can be put back to',
    load: async () => (await import('./commands/checkpoints.ts')).checkpointsCommand(),
  },
  ports: {
    summary: 'list what listens in a sandbox',
    load: async () => (await import('./commands/ports.ts')).portsCommand(),
  },
  preview: {
    summary: 'make, list and revoke links to apps in a sandbox',
    load: async () => (await import('./commands/preview.ts')).previewCommand(),
  },
  forward: {
    summary: 'make a port of a sandbox reachable on this machine',
    load: async () => (await import('./commands/forward.ts')).forwardCommand(),
  },
  permissions: {
    summary: 'list and answer what agents ask for',
    load: async () => (await import('./commands/permissions.ts')).permissionsCommand(),
  },
  egress: {
    summary: 'say where agents may connect to, and see where they did',
    load: async () => (await import('./commands/egress.ts')).egressCommand(),
  },
  secrets: {
    summary: 'give hosts tokens that the gateway uses and no sandbox sees',
    load: async () => (await import('./commands/secrets.ts')).secretsCommand(),
  },
  exec: {
    summary: 'run a command in the sandbox of an agent',
    load: async () => (await import('./commands/exec.ts')).execCommand(),
  },
  ps: {
    summary: 'show what runs in the sandbox of an agent',
    load: async () => (await import('./commands/ps.ts')).psCommand(),
  },
  logs: {
    summary: 'print the output of a process in the background',
    load: async () => (await import('./commands/logs.ts')).logsCommand(),
  },
  kill: {
    summary: 'end a process in the sandbox of an agent',
    load: async () => (await import('./commands/kill.ts')).killCommand(),
  },
  shell: {
    summary: "open a terminal in an agent's sandbox, or come back to one",
    load: async () => (await import('./commands/shell.ts')).shellCommand(),
  },
  sessions: {
    summary: 'list the browsers that are signed in as you, and sign them out',
    load: async () => (await import('./commands/sessions.ts')).sessionsCommand(),
  },
  users: {
    summary: 'list, invite, disable and delete users',
    load: async () => (await import('./commands/users.ts')).usersCommand(),
  },
  usage: {
    summary: 'show what agents took of models, and what it cost',
    load: async () => (await import('./commands/usage.ts')).usageCommand(),
  },
  keys: {
    summary: 'create, list and revoke API keys',
    load: async () => (await import('./commands/keys.ts')).keysCommand(),
  },
  quotas: {
    summary: 'show and change what may be used, and what is',
    load: async () => (await import('./commands/quotas.ts')).quotasCommand(),
  },
  audit: {
    summary: 'search, export and verify the record of who did what',
    load: async () => (await import('./commands/audit.ts')).auditCommand(),
  },
  admin: {
    summary: 'show how the system is, and the sandboxes and usage of everyone',
    load: async () => (await import('./commands/admin.ts')).adminCommand(),
  },
  acp: {
    summary: 'serve an agent to an editor that speaks ACP, on stdin and stdout',
    load: async () => (await import('./commands/acp.ts')).acpCommand(),
  },
};
