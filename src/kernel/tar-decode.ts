import { CaissonError } from './errors.ts';
import type { ByteSource } from './byte-source.ts';
import { type TarEntry, type TarEntryType, tarBlockBytes, tarPadding } from './tar-entry.ts';

/** Of the records before an entry (long names). More is no archive that anybody made. */
const maxRecordBytes = 1024 * 1024;
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
  for (;;) {
    const header = await source.take(tarBlockBytes);
    if (header.every((byte) => byte === 0)) return undefined;
    if (header.length < tarBlockBytes) throw notTar('it breaks off');
    checkSum(header);
    const flag = header.toString('latin1', 156, 157);
    const size = number(header.subarray(124, 136));
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      const record = await takeRecord(source, size);
      if (flag === 'L') long.set('path', untilZero(record));
      else if (flag === 'K') long.set('linkpath', untilZero(record));
      else if (flag === 'x') for (const [key, value] of paxRecords(record)) long.set(key, value);
      continue;
    }
    const type = types[flag];
    if (type === undefined) throw notTar(`it holds an entry of the unknown kind ${JSON.stringify(flag)}`);
    const name = trimSlashes(long.get('path') ?? headerName(header));
    const isFile = type === 'file' && !(long.get('path') ?? headerName(header)).toString('latin1').endsWith('/');
    const target = long.get('linkpath') ?? untilZero(header.subarray(157, 257));
    const paxSize = long.get('size');
    return {
      name,
      type: type === 'file' && !isFile ? 'directory' : type,
      mode: number(header.subarray(100, 108)) & 0o7777,
      size: type === 'file' ? (paxSize === undefined ? size : decimal(paxSize)) : 0,
      modifiedAt: modified(long.get('mtime'), header),
      target: type === 'symbolic-link' || type === 'hard-link' ? target : null,
    };
  }
}

/** Takes what is left of an entry's last block. */
export async function skipTarPadding(source: ByteSource, size: number): Promise<void> {
  const padding = tarPadding(size);
  if (padding > 0 && (await source.take(padding)).length < padding) throw notTar('it breaks off');
}

function notTar(why: string): CaissonError {
  return new CaissonError('BAD_REQUEST', `This is not a whole tar archive: ${why}.`);
}

async function takeRecord(source: ByteSource, size: number): Promise<Buffer> {
  if (size > maxRecordBytes) throw notTar(`a name in it takes more than ${maxRecordBytes} bytes`);
  const record = Buffer.from(await source.take(size));
  if (record.length < size) throw notTar('it breaks off');
  await skipTarPadding(source, size);
  return record;
}

function headerName(header: Buffer): Buffer {
  const name = untilZero(header.subarray(0, 100));
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? untilZero(header.subarray(345, 500)) : Buffer.alloc(0);
  return prefix.length === 0 ? Buffer.from(name) : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function* paxRecords(record: Buffer): Generator<[string, Buffer]> {
  for (let at = 0; at < record.length;) {
    const space = record.indexOf(0x20, at);
    const length = space < 0 ? 0 : decimal(record.subarray(at, space));
    const equals = record.indexOf(0x3d, space);
    if (length === 0 || at + length > record.length || equals < 0 || equals > at + length) {
      throw notTar('a record in it is damaged');
    }
    yield [record.toString('utf8', space + 1, equals), record.subarray(equals + 1, at + length - 1)];
    at += length;
  }
}

function checkSum(header: Buffer): void {
  let sum = 0;
  for (let at = 0; at < tarBlockBytes; at++) sum += at >= 148 && at < 156 ? 0x20 : (header[at] ?? 0);
  if (sum !== number(header.subarray(148, 156))) throw notTar('a header in it is damaged');
}

/** Octal digits, or GNU's base 256. */
function number(field: Buffer): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw notTar('a number in it is too large');
    return value;
  }
  const digits = untilZero(field).toString('latin1').trim();
  if (!/^[0-7]*$/.test(digits)) throw notTar('a number in it is damaged');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function decimal(text: Buffer): number {
  const value = Number(text.toString('latin1'));
  if (!Number.isSafeInteger(value) || value < 0) throw notTar('a number in it is damaged');
  return value;
}

function modified(pax: Buffer | undefined, header: Buffer): number {
  const seconds = pax === undefined ? number(header.subarray(136, 148)) : Number(pax.toString('latin1'));
  return Number.isFinite(seconds) ? seconds : 0;
}

function untilZero(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

function trimSlashes(name: Buffer): Buffer {
  let end = name.length;
  while (end > 1 && name[end - 1] === 0x2f) end -= 1;
  return name.subarray(0, end);
}
