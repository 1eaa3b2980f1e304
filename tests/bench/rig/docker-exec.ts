import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type Duplex, PassThrough, Writable } from 'node:stream';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import type { Container, Exec } from 'dockerode';

/** Plain `docker exec` through dockerode: what the wire is measured against. */
export class DockerExec {
  readonly #docker: Docker;
  readonly #container: Container;

  constructor(docker: Docker, container: string) {
    this.#docker = docker;
    this.#container = docker.getContainer(container);
  }

  /** Runs a command to its end; rejects unless it exits with 0. Returns the bytes of its output. */
  async run(command: readonly string[], input?: (stdin: Duplex) => Promise<void>): Promise<number> {
    const { exec, stream } = await this.#start(command, input !== undefined);
    let bytes = 0;
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        done();
      },
    });
    this.#docker.modem.demuxStream(stream, sink, sink);
    const ended = once(stream, 'close');
    stream.resume();
    await input?.(stream);
    await ended;
    const { ExitCode: code } = await exec.inspect();
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${String(code)}`);
    return bytes;
  }

  /** A process that sends back what it is sent. `echo` resolves with the time of one byte there and back. */
  async openEcho(): Promise<{ readonly echo: () => Promise<number>; readonly close: () => void }> {
    const { stream } = await this.#start(['cat'], true);
    const output = new PassThrough();
    this.#docker.modem.demuxStream(stream, output, output);
    return {
      async echo() {
        const started = performance.now();
        stream.write('x');
        await once(output, 'data');
        return performance.now() - started;
      },
      close: () => stream.destroy(),
    };
  }

  async #start(command: readonly string[], stdin: boolean): Promise<{ exec: Exec; stream: Duplex }> {
    const exec = await this.#container.exec({
      Cmd: [...command],
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: true,
    });
    return { exec, stream: await exec.start({ hijack: true, stdin }) };
  }
}

const runFile = promisify(execFile);

/** The same with Docker's own command line; undefined where it is not installed. */
export async function dockerCommandLine(container: string): Promise<(() => Promise<unknown>) | undefined> {
  try {
    await runFile('docker', ['--version']);
  } catch {
    return undefined;
  }
  return () => runFile('docker', ['exec', container, 'true']);
}
