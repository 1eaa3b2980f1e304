import type { SandboxObserver } from '../../agents/ports.ts';
import { type CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId, IncarnationId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { GuestClient } from '../../wire/guest-client.ts';

interface PumpOptions {
  readonly client: GuestClient;
  readonly observer: SandboxObserver;
  readonly agentId: AgentId;
  readonly incarnation: IncarnationId;
  /** The last entry that is stored. */
  readonly after: number;
  readonly logger: Logger;
}

/**
 * Reads the guest's journal, stores each batch, then acknowledges it. The next batch is read when the last is stored, so a
 * slow store slows the harness rather than filling memory. Resolves with what ended it; never rejects.
 */
export async function pumpJournal(options: PumpOptions): Promise<CaissonError> {
  const { client, observer, agentId, incarnation, after } = options;
  const acknowledge = acknowledger(options);
  try {
    for await (const entries of client.readJournal({ after })) {
      await observer.applyJournal(agentId, incarnation, entries);
      const last = entries.at(-1);
      if (last !== undefined) acknowledge(last.seq);
    }
    throw new Error('the journal ended');
  } catch (thrown) {
    return toCaissonError(thrown);
  }
}

/** Acknowledges what is on the disk. One acknowledgement is under way at a time; those that come meanwhile become one. */
function acknowledger({ client, observer, agentId, logger }: PumpOptions): (seq: number) => void {
  let wanted = 0;
  let busy = false;
  const send = async (): Promise<void> => {
    busy = true;
    try {
      for (let sent = 0; sent < wanted;) {
        sent = wanted;
        await observer.flushed();
        await client.acknowledge(sent);
      }
    } catch (thrown) {
      // A lost acknowledgement is made good by the next one; a lost wire ends the pump by itself.
      logger.debug({ agentId, err: thrown }, 'a journal acknowledgement was lost');
    } finally {
      busy = false;
    }
  };
  return (seq) => {
    wanted = seq;
    if (!busy) void send();
  };
}
