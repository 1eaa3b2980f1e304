import { type TarEntry, tarBlockBytes, tarPadding } from './tar-entry.ts';

const flags = { file: '0', 'hard-link': '1', 'symbolic-link': '2', directory: '5' } as const;
type Writable = TarEntry & { readonly type: keyof typeof flags };

/**
 * The header blocks of an entry, as POSIX has them (ustar, with a pax record for what does not fit). Names stay bytes: a
 * library that takes names as text would change those that are not UTF-8, which is why this is our own.
 */
export function encodeTarHeader(entry: Writable): Buffer {
  const records: Buffer[] = [];
  const name = entry.type === 'directory' ? Buffer.concat([entry.name, Buffer.from('/')]) : entry.name;
  const target = entry.target ?? Buffer.alloc(0);
  if (name.length > 100) records.push(paxRecord('path', name));
  if (target.length > 100) records.push(paxRecord('linkpath', target));
  if (entry.size > largestOctal) records.push(paxRecord('size', Buffer.from(String(entry.size))));
  const header = block({ ...entry, name, target, flag: flags[entry.type] });
  if (records.length === 0) return header;
  const pax = Buffer.concat(records);
  const about = { name: Buffer.from('pax'), target: Buffer.alloc(0), mode: 0o644, modifiedAt: 0 };
  return Buffer.concat([
    block({ ...about, flag: 'x', size: pax.length }),
    pax,
    Buffer.alloc(tarPadding(pax.length)),
    header,
  ]);
}

interface Block {
  readonly name: Buffer;
  readonly target: Buffer;
  readonly flag: string;
  readonly mode: number;
  readonly size: number;
  readonly modifiedAt: number;
}

/** What eleven octal digits hold. */
const largestOctal = 0o77777777777;

function block({ name, target, flag, mode, size, modifiedAt }: Block): Buffer {
  const bytes = Buffer.alloc(tarBlockBytes);
  name.copy(bytes, 0, 0, Math.min(name.length, 100));
  bytes.write(octal(mode & 0o7777, 7), 100);
  bytes.write(octal(0, 7), 108);
  bytes.write(octal(0, 7), 116);
  bytes.write(octal(size > largestOctal ? 0 : size, 11), 124);
  bytes.write(octal(Math.min(Math.max(0, Math.floor(modifiedAt)), largestOctal), 11), 136);
  bytes.write('        ', 148);
  bytes.write(flag, 156);
  target.copy(bytes, 157, 0, Math.min(target.length, 100));
  bytes.write('ustar\u000000', 257);
  let sum = 0;
  for (let at = 0; at < tarBlockBytes; at++) sum += bytes[at] ?? 0;
  bytes.write(`${octal(sum, 6)}\u0000 `, 148);
  return bytes;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
