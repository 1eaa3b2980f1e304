import { CaissonError } from './errors.ts';
import type { ByteSource } from './byte-source.ts';
import { type TarEntry, type TarEntryType, tarBlockBytes, tarPadding } from './tar-entry.ts';

/** Of all the records before one entry (long names). More is no archive that anybody made. */
const maxRecordBytes = 1024 * 1024;
/** What is taken from them; the rest is for others. */
const wanted: ReadonlySet<string> = new Set(['path', 'linkpath', 'size', 'mtime']);
const types: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hard-link',
  '2': 'symbolic-link',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
};

/**
 * The next entry of an archive (ustar, pax and GNU's long names), or undefined at its end. The caller takes `size` bytes
 * and the padding from the source before it asks again. BAD_REQUEST for what is no archive, or breaks off. Nothing about a
 * name is checked here.
 */
export async function readTarEntry(source: ByteSource): Promise<TarEntry | undefined> {
  const long = new Map<string, Buffer>();
  let recordBytes = 0;
  for (;;) {
    const header = source.takeHere(tarBlockBytes) ?? (await source.take(tarBlockBytes));
    const sum = sumOf(header);
    if (sum === 0) return undefined;
    if (header.length < tarBlockBytes) throw notTar('it breaks off');
    if (sum !== number(header, 148, 8)) throw notTar('a header in it is damaged');
    const flag = String.fromCharCode(header[156] ?? 0);
    const size = tarSizeOf(header);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      recordBytes += size;
      if (recordBytes > maxRecordBytes) throw notTar(`the names of an entry take more than ${maxRecordBytes} bytes`);
      const record = await takeRecord(source, size);
      // Copies, so that nothing holds the record.
      if (flag === 'L') long.set('path', Buffer.from(untilZero(record)));
      else if (flag === 'K') long.set('linkpath', Buffer.from(untilZero(record)));
      else if (flag === 'x') {
        for (const [key, value] of paxRecords(record)) if (wanted.has(key)) long.set(key, Buffer.from(value));
      }
      continue;
    }
    const kind = types[flag];
    if (kind === undefined) throw notTar(`it holds an entry of the unknown kind ${JSON.stringify(flag)}`);
    const name = long.get('path') ?? headerName(header);
    const type = kind === 'file' && name.at(-1) === slash ? 'directory' : kind;
    const isLink = type === 'symbolic-link' || type === 'hard-link';
    const paxSize = long.get('size');
    return {
      name: trimSlashes(name),
      type,
      mode: number(header, 100, 8) & 0o7777,
      size: type === 'file' ? (paxSize === undefined ? size : decimal(paxSize)) : 0,
      modifiedAt: modified(long.get('mtime'), header),
      target: isLink ? (long.get('linkpath') ?? field(header, 157, 100)) : null,
    };
  }
}

/** How much follows a header, without the padding. BAD_REQUEST for what is none. */
export function tarSizeOf(header: Buffer): number {
  return number(header, 124, 12);
}

/** Takes what is left of an entry's last block. */
export async function skipTarPadding(source: ByteSource, size: number): Promise<void> {
  const padding = tarPadding(size);
  if (padding === 0 || source.takeHere(padding) !== undefined) return;
  if ((await source.take(padding)).length < padding) throw notTar('it breaks off');
}

function notTar(why: string): CaissonError {
  return new CaissonError('BAD_REQUEST', `This is not a whole tar archive: ${why}.`);
}

async function takeRecord(source: ByteSource, size: number): Promise<Buffer> {
  const record = await source.take(size);
  if (record.length < size) throw notTar('it breaks off');
  await skipTarPadding(source, size);
  return record;
}

function headerName(header: Buffer): Buffer {
  const name = field(header, 0, 100);
  if (header[345] === 0 || header.toString('latin1', 257, 263) !== 'ustar\0') return name;
  return Buffer.concat([field(header, 345, 155), Buffer.from('/'), name]);
}

function* paxRecords(record: Buffer): Generator<[string, Buffer]> {
  for (let at = 0; at < record.length;) {
    const space = record.indexOf(0x20, at);
    const length = space < 0 ? 0 : decimal(record.subarray(at, space));
    const equals = record.indexOf(0x3d, space);
    if (length === 0 || at + length > record.length || equals < 0 || equals >= at + length) {
      throw notTar('a record in it is damaged');
    }
    yield [record.toString('utf8', space + 1, equals), record.subarray(equals + 1, at + length - 1)];
    at += length;
  }
}

/** As a header has it of itself: its bytes, with blanks in place of the sum. 0 where all are zero, which no header's is. */
function sumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at++) sum += header[at] ?? 0;
  if (sum === 0) return 0;
  for (let at = 148; at < 156; at++) sum += 0x20 - (header[at] ?? 0);
  return sum;
}

/** Of a size, or what else counts something. */
function number(header: Buffer, start: number, length: number): number {
  const value = anyNumber(header, start, length);
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) throw notTar('a number in it is too large');
  return value;
}

/** Octal digits, or GNU's base 256, which is negative for times before 1970. */
function anyNumber(header: Buffer, start: number, length: number): number {
  const first = header[start] ?? 0;
  let value = 0;
  if ((first & 0x80) !== 0) {
    value = first === 0xff ? -1 : first & 0x7f;
    for (const byte of header.subarray(start + 1, start + length)) value = value * 256 + byte;
    return value;
  }
  for (let at = start; at < start + length; at++) {
    const byte = header[at] ?? 0;
    if (byte === 0) return value;
    if (byte < zero || byte > seven) return loose(field(header, start, length));
    value = value * 8 + byte - zero;
  }
  return value;
}

/** Digits with blanks around them, as some programs write them. */
function loose(text: Buffer): number {
  const digits = text.toString('latin1').trim();
  if (!/^[0-7]*$/.test(digits)) throw notTar('a number in it is damaged');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function decimal(text: Buffer): number {
  const digits = text.toString('latin1');
  const value = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(value)) throw notTar('a number in it is damaged');
  return value;
}

function modified(pax: Buffer | undefined, header: Buffer): number {
  if (pax === undefined) return anyNumber(header, 136, 12);
  const seconds = pax.toString('latin1');
  if (!/^[+-]?\d+(\.\d*)?$/.test(seconds)) throw notTar('a time in it is damaged');
  return Number.isFinite(Number(seconds)) ? Number(seconds) : 0;
}

/** What stands in a header before the first zero. */
function field(header: Buffer, start: number, length: number): Buffer {
  let end = start;
  while (end < start + length && header[end] !== 0) end++;
  return header.subarray(start, end);
}

function untilZero(text: Buffer): Buffer {
  return field(text, 0, text.length);
}

function trimSlashes(name: Buffer): Buffer {
  let end = name.length;
  while (end > 1 && name[end - 1] === slash) end -= 1;
  return end === name.length ? name : name.subarray(0, end);
}

const slash = 0x2f;
const zero = 0x30;
const seven = 0x37;
