import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { AgentEvent } from '../../agents/event.ts';
import { endsRun } from '../../agents/run-ending.ts';
import type { ErrorCode } from '../../kernel/error-table.ts';
import type { RunId } from '../../kernel/ids.ts';
import type { AuditHealth } from '../audit/audit-log.ts';
import type { EgressRecord } from '../egress/ports.ts';
import type { CallRecord } from '../model-gateway/call-record.ts';
import type { BreakerMode } from '../model-gateway/circuit-breaker.ts';

/** One call of a procedure that is over, each of a batch. */
export interface ObservedCall {
  /** `router.procedure`. */
  readonly procedure: string;
  readonly durationMs: number;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
}

/** One HTTP request whose answer is over. */
export interface ObservedRequest {
  /** The route's pattern, never the path: there are as many paths as callers like. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
}

interface ActiveRun {
  readonly state: string;
  /** Since it was accepted, in milliseconds. */
  readonly ageMs: number;
}

/** What is counted when it is asked for. */
export interface Census {
  /** Runs that are not over. */
  readonly activeRuns: () => Promise<readonly ActiveRun[]>;
  /** Sandboxes that run, as far as it is known: those that the control plane should hold a wire to. */
  readonly runningSandboxes: () => Promise<number>;
  /** Sandboxes that the control plane holds a wire to. */
  readonly attachedSandboxes: () => number;
  /** What agents take of the disk, as it was measured last, and how many there are by its state. */
  readonly disks: () => { readonly usedBytes: number; readonly states: Readonly<Record<string, number>> };
  /** What is left on the disks of the machine, by what they hold. */
  readonly freeBytes: () => Promise<Readonly<Record<string, number>>>;
  /** The same of inodes, of disks that have a number of them. */
  readonly freeInodes: () => Promise<Readonly<Record<string, number>>>;
  /** How the breaker of each model service stands, by the service's name in the settings. */
  readonly modelServices: () => Readonly<Record<string, BreakerMode>>;
  readonly audit: () => AuditHealth;
  readonly droppedLogLines: () => number;
}

/** Runs whose begin is remembered until their end. The oldest are forgotten, and their duration is not told. */
const knownRuns = 4_096;
/**
 * How often the event loop's delay and its load are looked at. Each look wakes the process: at the library's 10 and 100 ms they
 * take 7 ms of processor time a second, and hold up what else the machine does in a turn; at these 1 ms.
 */
const loopLookMs = 100;
const loopShareMs = 1_000;
const callSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120];
const overheadSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const breakerValue = { closed: 0, half_open: 1, open: 2 } as const satisfies Readonly<Record<BreakerMode, number>>;
const flushSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];
const runSeconds = [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];

/**
 * What Prometheus is told. Labels come from closed sets only (procedures, routes, states, error codes, names in the settings), so
 * that the number of series does not depend on what callers send. Names stand in docs/operations.md.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Histogram<'procedure' | 'outcome'>;
  readonly #requests: Counter<'route' | 'method' | 'status'>;
  readonly #runs: Counter<'state' | 'reason'>;
  readonly #runSeconds: Histogram;
  readonly #sandboxes: Counter<'state'>;
  readonly #modelCalls: Counter<'upstream' | 'outcome' | 'status'>;
  readonly #modelFirstBytes: Histogram<'upstream'>;
  readonly #modelOverheads: Histogram<'upstream'>;
  readonly #connections: Counter<'outcome'>;
  readonly #wireBreaks: Counter<'code'>;
  readonly #flushes: Histogram;
  readonly #begun = new Map<RunId, number>();

  constructor(census: Census) {
    const registers = [this.#registry];
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: loopLookMs,
      eventLoopUtilizationTimeout: loopShareMs,
      // The library's summary turns its window by Date.now(), once for each 12 s of a jump: a clock that comes right at boot would hold
      // up the process for seconds. It never turns; the load of late is told by the histogram.
      eventLoopUtilizationAgeBuckets: 1,
      eventLoopUtilizationMaxAgeSeconds: Infinity,
    });
    this.#calls = new Histogram({
      name: 'caisson_call_duration_seconds',
      help: 'Calls of procedures that are over, each of a batch, without subscriptions.',
      labelNames: ['procedure', 'outcome'],
      buckets: callSeconds,
      registers,
    });
    this.#requests = new Counter({
      name: 'caisson_http_requests_total',
      help: 'HTTP requests whose answer is over, without previews.',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.#runs = new Counter({
      name: 'caisson_runs_total',
      help: 'Runs that are over, by how they ended.',
      labelNames: ['state', 'reason'],
      registers,
    });
    this.#runSeconds = new Histogram({
      name: 'caisson_run_duration_seconds',
      help: 'From the start of a run to its end.',
      buckets: runSeconds,
      registers,
    });
    this.#sandboxes = new Counter({
      name: 'caisson_sandbox_changes_total',
      help: 'Changes of the state of sandboxes, by the new state.',
      labelNames: ['state'],
      registers,
    });
    this.#modelCalls = new Counter({
      name: 'caisson_model_calls_total',
      help: 'Model calls that are over, by how they ended.',
      labelNames: ['upstream', 'outcome', 'status'],
      registers,
    });
    this.#modelFirstBytes = new Histogram({
      name: 'caisson_model_first_byte_seconds',
      help: 'From a model call until its answer began.',
      labelNames: ['upstream'],
      buckets: callSeconds,
      registers,
    });
    this.#modelOverheads = new Histogram({
      name: 'caisson_model_overhead_seconds',
      help: 'Of that, what the gateway took itself: without waits for the service and for the sandbox.',
      labelNames: ['upstream'],
      buckets: overheadSeconds,
      registers,
    });
    this.#connections = new Counter({
      name: 'caisson_egress_connections_total',
      help: 'Connections out of sandboxes that are over, by how they ended.',
      labelNames: ['outcome'],
      registers,
    });
    this.#wireBreaks = new Counter({
      name: 'caisson_wire_breaks_total',
      help: 'Wires to sandboxes that broke, by what broke them.',
      labelNames: ['code'],
      registers,
    });
    this.#flushes = new Histogram({
      name: 'caisson_store_flush_seconds',
      help: 'How long the disk of the data directory took to take what was stored.',
      buckets: flushSeconds,
      registers,
    });
    const droppedLogLines = new Counter({
      name: 'caisson_log_lines_dropped_total',
      help: 'Log lines that were dropped, because what the log is written to took none.',
      registers: [],
      collect() {
        this.reset();
        this.inc(census.droppedLogLines());
      },
    });
    this.#registry.registerMetric(droppedLogLines);
    gauge(
      this.#registry,
      'caisson_model_breaker_state',
      'Whether a model service is asked: 0 it is, 1 one call is tried, 2 it is left alone.',
      ['upstream'],
      () =>
        Object.fromEntries(Object.entries(census.modelServices()).map(([name, mode]) => [name, breakerValue[mode]])),
    );
    gauge(this.#registry, 'caisson_audit_up', 'Whether the audit took what was written to it last.', [], () => ({
      '': census.audit().isFailing ? 0 : 1,
    }));
    gauge(this.#registry, 'caisson_audit_waiting', 'Calls under way and records that the audit holds.', [], () => ({
      '': census.audit().waiting,
    }));
    gauge(this.#registry, 'caisson_active_runs', 'Runs that are not over.', ['state'], async () =>
      numbers(await census.activeRuns()),
    );
    gauge(this.#registry, 'caisson_oldest_run_seconds', 'How long ago the oldest was accepted.', ['state'], async () =>
      oldest(await census.activeRuns()),
    );
    gauge(this.#registry, 'caisson_running_sandboxes', 'Sandboxes that run.', [], async () => ({
      '': await census.runningSandboxes(),
    }));
    gauge(this.#registry, 'caisson_attached_sandboxes', 'Sandboxes that a wire is held to.', [], () => ({
      '': census.attachedSandboxes(),
    }));
    gauge(
      this.#registry,
      'caisson_agent_disks',
      'Agents by the state of their disk.',
      ['state'],
      () => census.disks().states,
    );
    gauge(this.#registry, 'caisson_agent_disk_bytes', 'What agents take of the disk.', [], () => ({
      '': census.disks().usedBytes,
    }));
    gauge(this.#registry, 'caisson_host_disk_free_bytes', 'What is left on the disks of the machine.', ['disk'], () =>
      census.freeBytes(),
    );
    gauge(
      this.#registry,
      'caisson_host_disk_free_inodes',
      'Inodes that are left on the disks of the machine.',
      ['disk'],
      () => census.freeInodes(),
    );
  }

  /** Also tells open calls, by their kind: `calls`, `subscriptions`, `transfers`. Call it once. */
  countOpenCalls(openCalls: () => Readonly<Record<string, number>>): void {
    gauge(this.#registry, 'caisson_open_calls', 'Calls that are open.', ['kind'], openCalls);
  }

  call({ procedure, outcome, durationMs }: ObservedCall): void {
    this.#calls.observe({ procedure, outcome }, durationMs / 1_000);
  }

  request({ route, method, status }: ObservedRequest): void {
    this.#requests.inc({ route, method, status });
  }

  modelCall({ upstream, outcome, status, firstByteMs, overheadMs }: CallRecord): void {
    this.#modelCalls.inc({ upstream: upstream ?? '', outcome, status: status ?? '' });
    if (upstream === null) return;
    if (firstByteMs !== null) this.#modelFirstBytes.observe({ upstream }, firstByteMs / 1_000);
    if (overheadMs !== null) this.#modelOverheads.observe({ upstream }, overheadMs / 1_000);
  }

  connection({ outcome }: EgressRecord): void {
    this.#connections.inc({ outcome });
  }

  wireBroke(code: ErrorCode): void {
    this.#wireBreaks.inc({ code });
  }

  /** The disk has taken what was stored, or has not. */
  flush(ms: number): void {
    this.#flushes.observe(ms / 1_000);
  }

  /** A stored event. */
  event(event: AgentEvent): void {
    if (event.type === 'sandbox.status') this.#sandboxes.inc({ state: event.state });
    else if (event.type === 'run.started' && event.runId !== null) this.#begin(event.runId, event.at);
    else if (endsRun(event)) this.#end(event);
  }

  /** In the text format of Prometheus. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #begin(runId: RunId, at: number): void {
    this.#begun.set(runId, at);
    if (this.#begun.size <= knownRuns) return;
    const oldest = this.#begun.keys().next();
    if (!oldest.done) this.#begun.delete(oldest.value);
  }

  #end(event: AgentEvent & { readonly runId: RunId }): void {
    const reason = 'reason' in event ? event.reason : '';
    this.#runs.inc({ state: event.type.slice('run.'.length), reason });
    const begunAt = this.#begun.get(event.runId);
    if (begunAt === undefined) return;
    this.#begun.delete(event.runId);
    this.#runSeconds.observe(Math.max(0, event.at - begunAt) / 1_000);
  }
}

function numbers(runs: readonly ActiveRun[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of runs) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function oldest(runs: readonly ActiveRun[]): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const { state, ageMs } of runs) seconds[state] = Math.max(seconds[state] ?? 0, ageMs / 1_000);
  return seconds;
}

/** A gauge whose values, by its one label, are asked for when it is read. */
function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  values: () => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>,
): void {
  const [label] = labelNames;
  const made = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [],
    async collect() {
      this.reset();
      for (const [of, value] of Object.entries(await values())) {
        if (label === undefined) this.set(value);
        else this.set({ [label]: of }, value);
      }
    },
  });
  registry.registerMetric(made);
}
