/** What the beginning of a TLS connection says. */
export type HelloReading =
  /** Not all of it is here yet. */
  | { readonly state: 'incomplete' }
  /** It is no hello that a well-kept client sends. */
  | { readonly state: 'malformed'; readonly reason: string }
  | {
      readonly state: 'complete';
      /** In lower case; null where it has none. */
      readonly serverName: string | null;
      /** Whether a part is encrypted, which may name another host (ECH, and ESNI before it). */
      readonly hasEncryptedPart: boolean;
      /** Of its records. */
      readonly bytes: number;
    };

/** With the keys of post-quantum exchanges a hello has 2 KB. */
const maxHelloBytes = 16 * 1024;
/** Clients that split their hello do it once or twice. */
const maxRecords = 16;

const handshakeRecord = 0x16;
const clientHello = 0x01;
const recordHeadBytes = 5;
const maxRecordBytes = 16_384;
const extensions = { serverName: 0x0000, encryptedServerName: 0xffce, encryptedClientHello: 0xfe0d } as const;

export function looksLikeTls(bytes: Buffer): boolean {
  return bytes[0] === handshakeRecord;
}

/**
 * Reads the ClientHello that `bytes` begin with. Strict: what different servers could read differently is malformed, such
 * as an extension that comes twice, more than one name, or lengths that do not add up.
 */
export function readClientHello(bytes: Buffer): HelloReading {
  try {
    const message = handshakeMessage(bytes);
    if (message === undefined) {
      return bytes.length > maxHelloBytes ? malformed('It is longer than 16 KiB.') : { state: 'incomplete' };
    }
    return { state: 'complete', bytes: message.end, ...readHello(new Reader(message.content)) };
  } catch (thrown) {
    if (thrown instanceof Malformed) return malformed(thrown.message);
    throw thrown;
  }
}

/** The first handshake message, which may be spread over records, and where the last of them ends; undefined while it is not whole. */
function handshakeMessage(bytes: Buffer): { readonly content: Buffer; readonly end: number } | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  let gathered = 0;
  while (bytes.length - at >= recordHeadBytes) {
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3) throw new Malformed('It is no TLS handshake.');
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > maxRecordBytes) throw new Malformed('A record has no valid length.');
    const part = bytes.subarray(at + recordHeadBytes, at + recordHeadBytes + length);
    parts.push(part);
    if (parts.length > maxRecords) throw new Malformed('It comes in too many records.');
    gathered += part.length;
    const message = gathered >= 4 ? Buffer.concat(parts) : undefined;
    if (message !== undefined) {
      if (message[0] !== clientHello) throw new Malformed('It does not begin with a hello.');
      const size = 4 + message.readUIntBE(1, 3);
      if (size > maxHelloBytes) throw new Malformed('It is longer than 16 KiB.');
      if (message.length > size) throw new Malformed('Something follows the hello in its record.');
      // Not before its record is whole: something may follow the hello in there.
      if (message.length === size && part.length === length) {
        return { content: message.subarray(4), end: at + recordHeadBytes + length };
      }
    }
    if (part.length < length) return undefined;
    at += recordHeadBytes + length;
  }
  return undefined;
}

function readHello(reader: Reader): { readonly serverName: string | null; readonly hasEncryptedPart: boolean } {
  reader.take(2 + 32); // version and random
  reader.take(reader.number(1)); // session
  reader.take(reader.number(2)); // cipher suites
  reader.take(reader.number(1)); // compression
  const seen = new Set<number>();
  let serverName: string | null = null;
  if (reader.left > 0) {
    const all = new Reader(reader.take(reader.number(2)));
    if (reader.left > 0) throw new Malformed('Something follows its extensions.');
    while (all.left > 0) {
      const type = all.number(2);
      const content = new Reader(all.take(all.number(2)));
      if (seen.has(type)) throw new Malformed('An extension comes twice.');
      seen.add(type);
      if (type === extensions.serverName) serverName = readServerName(content);
    }
  }
  const hasEncryptedPart = seen.has(extensions.encryptedClientHello) || seen.has(extensions.encryptedServerName);
  return { serverName, hasEncryptedPart };
}

/** RFC 6066, 3: one name of the type host_name. */
function readServerName(content: Reader): string {
  const list = new Reader(content.take(content.number(2)));
  if (content.left > 0 || list.number(1) !== 0) throw new Malformed('Its server name is not valid.');
  const name = list.take(list.number(2)).toString('latin1');
  if (list.left > 0) throw new Malformed('It has more than one server name.');
  if (!/^[\x21-\x7e]{1,255}$/.test(name)) throw new Malformed('Its server name is not valid.');
  return name.toLowerCase();
}

class Malformed extends Error {}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Malformed('Its lengths do not add up.');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }
}

function malformed(reason: string): HelloReading {
  return { state: 'malformed', reason };
}
