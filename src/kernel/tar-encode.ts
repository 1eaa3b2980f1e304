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
  const target = entry.target ?? none;
  if (name.length > 100) records.push(paxRecord('path', name));
  if (target.length > 100) records.push(paxRecord('linkpath', target));
  if (entry.size > largestOctal) records.push(paxRecord('size', Buffer.from(String(entry.size))));
  const header = block({ ...entry, name, target, flag: flags[entry.type] });
  if (records.length === 0) return header;
  const pax = Buffer.concat(records);
  const about = { name: Buffer.from('pax'), target: none, mode: 0o644, modifiedAt: 0 };
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

const none = Buffer.alloc(0);
const magic = Buffer.from('ustar\u000000');
const magicAt = 257;
/** Behind them a header of ours is empty. */
const usedBytes = magicAt + magic.length;
const zero = 0x30;
const blank = 0x20;
/** The sum counts its own field as blanks. */
const blankSum = 8 * blank;
/** What eleven octal digits hold. */
const largestOctal = 0o77777777777;

function block({ name, target, flag, mode, size, modifiedAt }: Block): Buffer {
  const bytes = Buffer.allocUnsafe(tarBlockBytes).fill(0); // from the pool
  name.copy(bytes, 0, 0, Math.min(name.length, 100));
  writeOctal(bytes, 100, 7, mode & 0o7777);
  writeOctal(bytes, 108, 7, 0);
  writeOctal(bytes, 116, 7, 0);
  writeOctal(bytes, 124, 11, size > largestOctal ? 0 : size);
  writeOctal(bytes, 136, 11, Math.min(Math.max(0, Math.floor(modifiedAt)), largestOctal));
  bytes[156] = flag.charCodeAt(0);
  target.copy(bytes, 157, 0, Math.min(target.length, 100));
  magic.copy(bytes, magicAt);
  let sum = blankSum;
  for (let at = 0; at < usedBytes; at++) sum += bytes[at] ?? 0;
  writeOctal(bytes, 148, 6, sum);
  bytes[155] = blank;
  return bytes;
}

/** Digit by digit: with texts of them a header takes twice as long. */
function writeOctal(bytes: Buffer, start: number, digits: number, value: number): void {
  let left = value;
  for (let at = start + digits - 1; at >= start; at--) {
    bytes[at] = zero + (left % 8);
    left = Math.floor(left / 8);
  }
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
