import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Command, InvalidArgumentError } from 'commander';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { connect, connectionSettings } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { localErrorText } from '../files/local-error.ts';
import { forwardConnection } from '../forward-connection.ts';
import { printable } from '../output/printable.ts';
import { stderr, stdout } from '../output/sink.ts';

interface Ports {
  /** 0 takes a free one. */
  readonly local: number;
  readonly remote: number;
}

/** Of one forward: below what one API key may have open at the same time. */
const maxConnections = 60;

export function forwardCommand(): Command {
  return new Command('forward')
    .description("Make a port of an agent's sandbox reachable on this machine, on 127.0.0.1, until you stop it.")
    .argument('<agent>', 'id or name')
    .argument('<ports>', '<local>:<remote>, or one number for both; local 0 takes a free one', readPorts)
    .action(forward);
}

async function forward(nameOrId: string, { local, remote }: Ports): Promise<void> {
  const [client, settings] = [await connect(), await connectionSettings()];
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    forwardConnection(socket, { ...settings, agentId, port: remote }).catch((thrown: unknown) => {
      void stderr.write(`${stderr.style('red', 'connection failed:')} ${printable(errorText(thrown))}\n`);
    });
  });
  server.maxConnections = maxConnections;
  server.on('drop', () => void stderr.write(`More than ${maxConnections} connections at once; one was refused.\n`));
  const port = await listen(server, local);
  await stdout.write(`127.0.0.1:${port} → port ${remote} of ${name}\n`);
  await stderr.write(`${stderr.style('dim', 'Ctrl-C ends it.')}\n`);
  await stopSignal();
  server.close();
  for (const socket of open) socket.destroy();
}

async function listen(server: Server, port: number): Promise<number> {
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (cause) {
    throw new CaissonError('CONFIG_INVALID', `127.0.0.1:${port} cannot be listened on: ${localErrorText(cause)}.`, {
      hint: 'Choose another local port; 0 takes a free one.',
      cause,
    });
  }
  return (server.address() as AddressInfo).port;
}

async function stopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
}

function readPorts(text: string): Ports {
  const [, first, second] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const [local, remote] = [Number(first), Number(second ?? first)];
  if (local <= 65_535 && remote >= 1 && remote <= 65_535) return { local, remote };
  throw new InvalidArgumentError('It must be two ports such as 8080:3000, or one such as 3000.');
}
