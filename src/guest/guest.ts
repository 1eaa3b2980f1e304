import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import type { Harness, HarnessSink } from '../acp/harness.ts';
import type { Clock } from '../kernel/clock.ts';
import { errorText } from '../kernel/errors.ts';
import { type IncarnationId, newIncarnationId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { guestProtocol } from '../wire/contract/guest-api.ts';
import { egressProxy } from '../wire/contract/egress.ts';
import type { KeepAliveOptions } from '../wire/keep-alive.ts';
import type { WireSession } from '../wire/wire-session.ts';
import { egressClientOptions } from '../wire/http2-settings.ts';
import { Changes } from './changes/changes.ts';
import { changesRoutes } from './changes/changes-routes.ts';
import { EgressDialer } from './egress/egress-dialer.ts';
import { createHttpProxy } from './egress/http-proxy.ts';
import { createSocksProxy } from './egress/socks-proxy.ts';
import { trustRoutes } from './egress/trust-routes.ts';
import { TrustStore } from './egress/trust-store.ts';
import { Confinement } from './files/confinement.ts';
import { fileRoutes } from './files/file-routes.ts';
import { sweep } from './files/sweep.ts';
import { takeInotify } from './files/take-inotify.ts';
import { Watches } from './files/watches.ts';
import { harnessRoutes } from './harness-routes.ts';
import { createInwardServer } from './inward-server.ts';
import { Journal } from './journal.ts';
import { createModelEndpoint, listenModelEndpoint } from './model-endpoint.ts';
import { Outward } from './outward.ts';
import { countConnections } from './ports/connection-count.ts';
import { PortConnections } from './ports/port-connections.ts';
import { portRoutes } from './ports/port-routes.ts';
import { PortTable } from './ports/port-table.ts';
import { PortWatch } from './ports/port-watch.ts';
import { ProcessOwners } from './processes/process-owners.ts';
import { ProcessTable } from './processes/process-table.ts';
import { processesRoutes } from './processes/processes-routes.ts';
import { terminalRoutes } from './terminals/terminal-routes.ts';
import { Terminals } from './terminals/terminals.ts';
import { TurnWatch } from './turn-watch.ts';
import { listenUnix } from './unix-listener.ts';

export interface GuestOptions {
  readonly agentId: string;
  /** Where the sockets of the channels go, and what programs are to trust. Made when it is missing. */
  readonly runDirectory: string;
  /** Of the model endpoint on loopback; 0 for any. */
  readonly modelPort: number;
  /** Of the proxies on loopback; 0 for any. */
  readonly proxyPorts: { readonly http: number; readonly socks: number };
  /** The folders that files may be reached in, as `sandboxRoots` has them; processes begin in the first. */
  readonly roots: readonly string[];
  /** Whether ports that open and close are told: where the guest has the network to itself. */
  readonly watchPorts: boolean;
  /** Asked once, at the first health request, so that it does not slow the start. */
  readonly version: () => string;
  readonly createHarness: (sink: HarnessSink) => Harness;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keepAlive?: KeepAliveOptions;
}

export interface Guest {
  readonly incarnation: IncarnationId;
  readonly modelPort: number;
  readonly proxyPorts: { readonly http: number; readonly socks: number };
  /** Stops the harness, ends the processes and terminals of callers, and closes everything. */
  stop(): Promise<void>;
}

/** Starts a guest: sockets, harness, model endpoint, in the order in which they are waited for. Resolves when all listen. */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const { clock, logger, keepAlive } = options;
  const incarnation = newIncarnationId();
  const startedAt = clock.now();
  const journal = new Journal({ clock });
  const outward = new Outward({ keepAlive });
  const egress = new Outward({ keepAlive, bounds: egressClientOptions });
  const dialer = new EgressDialer(egress);
  const proxies = { http: createHttpProxy(dialer), socks: createSocksProxy(dialer) };
  const [workspace = '/workspace', home = '/home/agent'] = options.roots;
  const changes = new Changes({ workspace, home, clock, logger });
  const model = createModelEndpoint({ outward, logger, beforeAnswers: () => changes.beforeAnswers() });
  const harness = options.createHarness(journal);
  let version: string | undefined;
  const identity = () => ({
    protocol: guestProtocol,
    guestVersion: (version ??= options.version()),
    agentId: options.agentId,
    incarnation,
    startedAt,
  });
  const owners = new ProcessOwners(() => harness.pid);
  const table = new ProcessTable({ incarnation, roots: options.roots, owners, clock });
  const terminals = new Terminals({ roots: options.roots, clock, owners });
  const confinement = new Confinement(options.roots);
  const watches = new Watches(confinement);
  const turns = new TurnWatch({ harness, onStart: (runId) => changes.turnStarted(runId) });
  const modelPort = (): number => portOf(model, options.modelPort);
  const proxyPorts = () => ({
    http: portOf(proxies.http, options.proxyPorts.http),
    socks: portOf(proxies.socks, options.proxyPorts.socks),
  });
  const ownPorts = () => new Set([modelPort(), ...Object.values(proxyPorts())]);
  const modelConnections = countConnections(model);
  // Whoever asks the model endpoint is in this network too. Not those of the proxies: one end of them may be gone for long.
  const ownSockets = () =>
    [model, proxies.http, proxies.socks].filter((server) => server.listening).length + 2 * modelConnections();
  const ports = new PortTable({ proc: '/proc', ownPorts, ownSockets });
  mkdirSync(options.runDirectory, { recursive: true, mode: 0o700 });
  const trust = new TrustStore(options.runDirectory);
  const routes = [
    ...harnessRoutes({ harness, journal, identity, turns }),
    ...processesRoutes({ table, clock }),
    ...changesRoutes(changes, () => turns.active()),
    ...fileRoutes(confinement, watches),
    ...terminalRoutes(terminals),
    ...portRoutes({ table: ports, connections: new PortConnections() }),
    ...trustRoutes(trust),
  ];
  const serveInward = createInwardServer({ routes, logger, keepAlive });

  const sessions = new Set<WireSession>();
  const hold = (wire: WireSession): void => {
    sessions.add(wire);
    void wire.closed.then(() => sessions.delete(wire));
  };
  takeInotify(options.runDirectory, logger);
  const servers: readonly Server[] = [
    listenUnix(join(options.runDirectory, 'inward.sock'), (socket) => hold(serveInward(socket))),
    listenUnix(join(options.runDirectory, 'outward.sock'), (socket) => hold(outward.accept(socket))),
    listenUnix(join(options.runDirectory, 'egress.sock'), (socket) => hold(egress.accept(socket))),
    model,
    proxies.http,
    proxies.socks,
  ];
  // Node makes its threads at their first use, and ends itself when it cannot: so now, while the sandbox has room for them.
  await stat(options.runDirectory);
  harness.start().catch((thrown: unknown) => {
    logger.error({ error: errorText(thrown) }, 'the harness did not start'); // tried again at the next turn
  });
  listenModelEndpoint(model, options.modelPort);
  proxies.http.listen(options.proxyPorts.http, egressProxy.host);
  proxies.socks.listen(options.proxyPorts.socks, egressProxy.host);
  const portWatch = options.watchPorts ? new PortWatch({ table: ports, journal, clock, logger }) : undefined;
  await Promise.all(servers.filter((server) => !server.listening).map((server) => once(server, 'listening')));
  const stopped = new AbortController();
  const { roots } = options;
  // The age of a socket is told by the clock of the file systems, as that of files is.
  const before = (await stat(join(options.runDirectory, 'inward.sock'), { bigint: true })).ctimeNs;
  const sweeping = sweep({ confinement, roots, before, signal: stopped.signal, logger });

  return {
    incarnation,
    modelPort: modelPort(),
    proxyPorts: proxyPorts(),
    async stop() {
      // The machine is going: what becomes of its turns is for the control plane to say, which sees it go.
      journal.seal();
      table.stop();
      watches.close();
      stopped.abort(new Error('the guest stops'));
      portWatch?.stop();
      await Promise.all([harness.stop(), terminals.closeAll(), changes.stop(), sweeping]);
      await new Promise((resolve) => setImmediate(resolve)); // its last words go out
      for (const server of servers) server.close();
      model.closeAllConnections();
      proxies.http.closeAllConnections();
      await Promise.all([...sessions].map((wire) => wire.close()));
    },
  };
}

function portOf(server: Server, before: number): number {
  return (server.address() as AddressInfo | null)?.port ?? before;
}
