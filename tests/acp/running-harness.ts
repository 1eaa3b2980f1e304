import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHarness } from '../../src/acp/create-harness.ts';
import type { Harness } from '../../src/acp/harness.ts';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';
import { newConversationId, newRunId, type ConversationId, type RunId } from '../../src/kernel/ids.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import type { TurnRequest } from '../../src/wire/contract/turn.ts';
import type { ScriptedAgentOptions } from '../doubles/scripted-acp-agent/options.ts';
import { readLog, type AgentLogEntry } from '../doubles/scripted-acp-agent/store.ts';
import { RecordingSink } from './recording-sink.ts';

const agentProgram = fileURLToPath(new URL('../doubles/scripted-acp-agent.ts', import.meta.url));

export interface RunningHarness extends AsyncDisposable {
  readonly harness: Harness;
  readonly sink: RecordingSink;
  /** Where the agent works. */
  readonly directory: string;
  /** Starts a turn of the conversation (default: always the same one). */
  prompt(text: string, options?: Partial<PromptOptions>): RunId;
  /** What the agent was asked, by method. */
  asked(method: string): unknown[];
  /** Process id of the agent that was asked last. */
  agentPid(): number;
  /** How far a flood has come. */
  progress(): number;
}

interface PromptOptions extends Omit<TurnRequest, 'session' | 'content'> {
  readonly conversationId: ConversationId;
  readonly sessionId: string | null;
  readonly model: string | null;
  readonly mode: string | null;
}

export interface ScriptedHarnessOptions {
  /** Whose traits the agent has. Default: those of `codex`. */
  readonly profile?: string;
  readonly agent?: ScriptedAgentOptions;
  readonly clock?: Clock;
  readonly model?: string;
  /** Default: a new one, removed at the end. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A harness whose program is the scripted ACP agent. */
export function scriptedHarness(options: ScriptedHarnessOptions = {}): RunningHarness {
  const directory = options.directory ?? mkdtempSync(path.join(tmpdir(), 'scripted-agent-'));
  return runHarness({
    profile: options.profile ?? 'codex',
    directory,
    clock: options.clock ?? systemClock,
    model: options.model ?? null,
    environment: {
      PATH: process.env['PATH'] ?? '',
      CAISSON_HARNESS_COMMAND: JSON.stringify([process.execPath, agentProgram]),
      SCRIPTED_AGENT: JSON.stringify(options.agent ?? {}),
      SCRIPTED_AGENT_DIRECTORY: directory,
      ...options.environment,
    },
  });
}

export interface RunHarnessOptions {
  readonly profile: string;
  /** Goes with the harness. */
  readonly directory: string;
  /** Default: the directory. */
  readonly workspace?: string;
  readonly clock: Clock;
  readonly model: string | null;
  readonly environment: Readonly<Record<string, string>>;
}

/** A harness with a recording journal. */
export function runHarness({ directory, workspace = directory, ...options }: RunHarnessOptions): RunningHarness {
  const sink = new RecordingSink();
  const harness = createHarness({ ...options, sink, logger: silentLogger });
  const usualConversation = newConversationId();
  const log = (): AgentLogEntry[] => readLog(path.join(directory, 'log.jsonl')) as AgentLogEntry[];
  return {
    harness,
    sink,
    directory: workspace,
    prompt(text, { conversationId = usualConversation, sessionId = null, model = null, mode = null, ...limits } = {}) {
      const runId = newRunId();
      harness.startTurn(runId, {
        session: { conversationId, sessionId, cwd: workspace, title: 'A title', model, mode },
        content: [{ type: 'text', text }],
        timeoutMs: 600_000,
        idleTimeoutMs: 600_000,
        permissionTimeoutMs: 600_000,
        ...limits,
      });
      return runId;
    },
    asked: (method) => log().flatMap((entry) => (entry.method === method ? [entry.params] : [])),
    agentPid: () => log().at(-1)?.pid ?? 0,
    progress: () => Number(readLog(path.join(directory, 'progress'))[0] ?? 0),
    async [Symbol.asyncDispose]() {
      sink.empty();
      await harness.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
