import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { repositoryRoot } from '../../../scripts/harness-install.ts';
import { context as explain, difference, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { BareRelay } from '../rig/bare-relay.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { LiveConversation } from '../rig/conversation.ts';
import { HostCodex } from '../rig/host-codex.ts';
import { median, quantile, timed } from '../rig/statistics.ts';

const warmUps = 15;
const rounds = 200;
const message = 'stream 4 x 8';
/** Lets what follows a turn, such as acknowledgements, end before the other side is measured. */
const restMs = 10;

/**
 * A warm turn of four deltas. Ours: from the call of `runs.start` on the typed client until a subscriber that listens all
 * the time has been given `run.completed`; the first delta until it has been given `message.delta`. Floor: the same
 * codex-acp driven by the ACP SDK on this machine, from `session/prompt` to its answer and to the first
 * `agent_message_chunk`. One round of each in turn, and one of a Codex there that reads no certificate authorities, as it does
 * not in a sandbox (`codex-acp.sh`).
 */
export async function prompt(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  const agent = await client.agents.create.mutate({ name: 'prompt', wait: true });
  await using conversation = await LiveConversation.open(client, agent.id);
  await using codex = await HostCodex.start(await context.newCodexHome());
  const sessionId = await openBenchSession(codex);
  const { directory, environment } = await context.newCodexHome();
  const SSL_CERT_FILE = join(repositoryRoot, 'images/sandbox/etc/codex/no-authority.crt');
  await using tunedCodex = await HostCodex.start({ directory, environment: { ...environment, SSL_CERT_FILE } });
  const tunedSessionId = await openBenchSession(tunedCodex);
  await using relay = await BareRelay.start(context);

  const ours = { turn: [] as number[], first: [] as number[] };
  const host = { turn: [] as number[], first: [] as number[] };
  const tuned = { turn: [] as number[], first: [] as number[] };
  const bare = { turn: [] as number[], first: [] as number[] };
  const calls: number[] = [];
  for (let round = -warmUps; round < rounds; round++) {
    const { endedMs, firstDeltaMs } = await conversation.turn(message);
    await pause(restMs);
    const hosted = await hostTurn(codex, sessionId);
    await pause(restMs);
    const tunedly = await hostTurn(tunedCodex, tunedSessionId);
    await pause(restMs);
    const relayed = await relay.turn(message);
    await pause(restMs);
    const callMs = await timed(() => client.system.health.query());
    if (round < 0) continue;
    ours.turn.push(endedMs);
    ours.first.push(firstDeltaMs);
    host.turn.push(hosted.endedMs);
    host.first.push(hosted.firstMs);
    tuned.turn.push(tunedly.endedMs);
    tuned.first.push(tunedly.firstMs);
    bare.turn.push(relayed.endedMs);
    bare.first.push(relayed.firstMs);
    calls.push(callMs);
  }
  const compare = (what: string, share: number, limitMs: number, of: 'turn' | 'first'): Row => {
    const [a, b] = [quantile(ours[of], share), quantile(host[of], share)];
    const over = a - b;
    return {
      what,
      ours: ms(a),
      floor: `${ms(b)} (Codex on the host)`,
      comparison: difference(over),
      target: `≤ +${limitMs} ms`,
      met: over <= limitMs,
    };
  };
  const row = (what: string, measured: typeof bare, of: 'turn' | 'first'): Row => {
    const [a, b] = [median(measured[of]), median(host[of])];
    return explain({ what, ours: ms(a), floor: `${ms(b)} (Codex on the host)`, comparison: difference(a - b) });
  };
  return [
    compare('warm prompt round trip, p50', 0.5, 5, 'turn'),
    compare('warm prompt round trip, p99', 0.99, 20, 'turn'),
    compare('first delta, p50', 0.5, 3, 'first'),
    row('for comparison: the same turn through as many processes of bare Node, p50', bare, 'turn'),
    row('for comparison: its first delta, p50', bare, 'first'),
    row('for comparison: Codex on the host without certificate authorities, p50', tuned, 'turn'),
    row('for comparison: its first delta, without them, p50', tuned, 'first'),
    explain({
      what: 'for comparison: one API call that does nothing, p50',
      ours: ms(median(calls)),
      floor: '',
      comparison: '',
    }),
  ];
}

async function openBenchSession(codex: HostCodex): Promise<string> {
  const sessionId = await codex.openSession();
  await codex.setTitle(sessionId);
  return sessionId;
}

async function hostTurn(codex: HostCodex, sessionId: string): Promise<{ endedMs: number; firstMs: number }> {
  let firstMs: number | undefined;
  const startedAt = performance.now();
  codex.onText = () => (firstMs ??= performance.now() - startedAt);
  await codex.prompt(sessionId, message);
  return { endedMs: performance.now() - startedAt, firstMs: firstMs ?? Number.NaN };
}
