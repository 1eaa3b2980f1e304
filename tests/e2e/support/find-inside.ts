import { z } from 'zod';
import type { AgentId } from '../../../src/kernel/ids.ts';
import type { SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';
import { inside } from './inside.ts';

const findings = z.object({
  places: z.array(z.string()),
  /** That could be read. */
  files: z.number(),
  /** Processes whose memory could be read, by whoever works in the sandbox. */
  memories: z.number(),
});

/** Where in a sandbox one of `texts` is: in which file, and in what of which process that its user can read. */
export async function findInside(
  provider: SandboxProvider,
  agentId: AgentId,
  texts: readonly string[],
): Promise<z.output<typeof findings>> {
  // In another spelling, so that neither the search nor what carries it there is a place to find them.
  const spelled = texts.map((text) => Buffer.from(text).toString('hex')).join('\n');
  const { stdout, stderr } = await inside(provider, agentId, `exec node -e "${search}"`, spelled);
  if (stdout === '') throw new Error(`the search failed: ${stderr}`);
  return findings.parse(JSON.parse(stdout));
}

const search = `
  const fs = require('fs'); const path = require('path');
  const texts = fs.readFileSync(0, 'utf8').split('\\n').map((line) => Buffer.from(line, 'hex'));
  const places = []; let files = 0; let memories = 0;
  const look = (content, place) => {
    for (const text of texts) if (content.includes(text)) places.push(place);
  };
  const lookAtFile = (file) => {
    let content;
    try { content = fs.readFileSync(file); } catch { return; }
    files++;
    look(content, file);
  };
  const walk = (folder) => {
    let entries;
    try { entries = fs.readdirSync(folder, { withFileTypes: true }); } catch { return; }
    for (const entry of entries) {
      const file = path.join(folder, entry.name);
      if (['/proc', '/sys', '/dev'].includes(file)) continue;
      if (entry.isDirectory()) walk(file);
      else if (entry.isFile()) lookAtFile(file);
    }
  };
  walk('/');
  const pieceBytes = 4 * 1024 * 1024;
  const lookAtMemory = (pid) => {
    let memory; let maps;
    try {
      maps = fs.readFileSync(path.join('/proc', pid, 'maps'), 'utf8');
      memory = fs.openSync(path.join('/proc', pid, 'mem'), 'r');
    } catch { return; }
    let read = 0;
    for (const line of maps.split('\\n')) {
      const [, from, to, mode] = /^([0-9a-f]+)-([0-9a-f]+) (....)/.exec(line) || [];
      if (mode === undefined || !mode.startsWith('rw')) continue;
      let at = BigInt('0x' + from); const end = BigInt('0x' + to);
      let kept = Buffer.alloc(0);
      while (at < end) {
        const piece = Buffer.alloc(Math.min(pieceBytes, Number(end - at)));
        let bytes;
        try { bytes = fs.readSync(memory, piece, 0, piece.length, at); } catch { break; }
        if (bytes === 0) break;
        read += bytes;
        const content = Buffer.concat([kept, piece.subarray(0, bytes)]);
        look(content, 'memory of ' + pid);
        kept = content.subarray(Math.max(0, content.length - 256)); // a text that lies over two pieces
        at += BigInt(bytes);
      }
    }
    fs.closeSync(memory);
    if (read > 0) memories++;
  };
  for (const pid of fs.readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    for (const part of ['environ', 'cmdline', 'maps']) lookAtFile(path.join('/proc', pid, part));
    if (pid !== String(process.pid)) lookAtMemory(pid);
  }
  console.log(JSON.stringify({ places, files, memories }));
`;
