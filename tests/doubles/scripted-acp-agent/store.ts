import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** One request or notification that the agent was sent, or one answer that it got. */
export interface AgentLogEntry {
  readonly pid: number;
  readonly method: string;
  readonly params: unknown;
}

/** The agent's memory: its sessions, and a log of what it was asked, both in one directory that outlives it. */
export class AgentStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  log(method: string, params: unknown): void {
    const entry: AgentLogEntry = { pid: process.pid, method, params };
    appendFileSync(path.join(this.#directory, 'log.jsonl'), `${JSON.stringify(entry)}\n`);
  }

  /** Like Codex, a session is remembered from its first prompt on. */
  create(): string {
    return randomUUID();
  }

  addPrompt(sessionId: string, text: string): void {
    appendFileSync(this.#file(sessionId), `${JSON.stringify(text)}\n`);
  }

  prompts(sessionId: string): readonly string[] | null {
    if (!existsSync(this.#file(sessionId))) return null;
    return readLog(this.#file(sessionId)).map(String);
  }

  /** How much of a flood has been written. */
  progress(chunks: number): void {
    writeFileSync(path.join(this.#directory, 'progress'), String(chunks));
  }

  #file(sessionId: string): string {
    return path.join(this.#directory, `${sessionId}.session`);
  }
}

/** The JSON lines of a file that may not be there yet. */
export function readLog(file: string): unknown[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line): unknown => JSON.parse(line));
}
