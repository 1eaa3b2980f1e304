// Runs when the image is built: starts the adapter as a sandbox does, waits for its first answer and lets it end by itself.
import { spawn } from 'node:child_process';

const initialize = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: 1, clientCapabilities: {} },
};
const adapter = spawn('/usr/local/bin/codex-acp', { stdio: ['pipe', 'pipe', 'inherit'], timeout: 60_000 });
adapter.stdin.write(`${JSON.stringify(initialize)}\n`);
adapter.stdout.once('data', () => adapter.stdin.end());
adapter.once('exit', (code) => (process.exitCode = code ?? 1));
