import type { Duplex } from 'node:stream';

/** Sends `message` and gives back as many bytes as it has. */
export async function echoed(stream: Duplex, message: Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    parts.push(part);
    length += part.length;
    if (length >= message.length) resolve();
  };
  stream.on('data', take);
  stream.write(message);
  await promise;
  stream.off('data', take);
  return Buffer.concat(parts).toString();
}
