export const serverNameType = 0x0000;
export const encryptedClientHelloType = 0xfe0d;
export const encryptedServerNameType = 0xffce;

/** A number of so many bytes. */
export function number(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

/** With its length before it. */
export function sized(bytes: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([number(content.length, bytes), content]);
}

export function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([number(type, 2), sized(2, content)]);
}

/** An extension with these server names, each with its type. */
export function serverNames(...names: readonly (readonly [type: number, name: string])[]): Buffer {
  const list = names.map(([type, name]) => Buffer.concat([number(type, 1), sized(2, Buffer.from(name, 'latin1'))]));
  return extension(serverNameType, sized(2, ...list));
}

export function serverName(name: string): Buffer {
  return serverNames([0, name]);
}

/** A ClientHello with these extensions, as a handshake message. */
export function helloMessage(...extensions: readonly Buffer[]): Buffer {
  const body = Buffer.concat([
    number(0x0303, 2),
    Buffer.alloc(32, 7), // random
    sized(1, Buffer.alloc(32, 8)), // session
    sized(2, Buffer.from([0x13, 0x01, 0x13, 0x02])),
    sized(1, Buffer.from([0])),
    sized(2, ...extensions),
  ]);
  return Buffer.concat([Buffer.from([1]), sized(3, body)]);
}

export function record(content: Buffer, type = 0x16): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 1]), sized(2, content)]);
}

/** A ClientHello with these extensions, in one record. */
export function hello(...extensions: readonly Buffer[]): Buffer {
  return record(helloMessage(...extensions));
}

/** What a host answers a hello with, as a record: a ServerHello, or one that asks for another hello (RFC 8446, 4.1.3). */
export function hostHello({ asksForAnother }: { readonly asksForAnother: boolean }): Buffer {
  const random = asksForAnother
    ? Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex')
    : Buffer.alloc(32, 9);
  const body = Buffer.concat([number(0x0303, 2), random, sized(1), Buffer.from([0x13, 0x01, 0]), sized(2)]);
  return record(Buffer.concat([Buffer.from([2]), sized(3, body)]));
}
