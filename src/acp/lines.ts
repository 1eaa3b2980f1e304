/** Thrown when a line grows past its limit. The rest of the source is not read. */
export class LineTooLongError extends Error {
  constructor(limit: number) {
    super(`a line of output is longer than ${limit} bytes`);
  }
}

/**
 * Splits bytes into lines of UTF-8. Pulls the next chunk of the source only when no whole line is left of the last one,
 * and holds at most one line of `limit` bytes and one chunk. A last line without an end is a line.
 */
export async function* readLines(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string, void, void> {
  let head: Uint8Array[] = [];
  let headBytes = 0;
  const finish = (tail: Uint8Array): string => {
    const line = head.length === 0 ? tail : Buffer.concat([...head, tail]);
    head = [];
    headBytes = 0;
    return Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
  };
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      if (headBytes + end - start > limit) throw new LineTooLongError(limit);
      yield finish(chunk.subarray(start, end));
      start = end + 1;
    }
    headBytes += chunk.length - start;
    if (headBytes > limit) throw new LineTooLongError(limit);
    if (start < chunk.length) head.push(chunk.subarray(start));
  }
  if (headBytes > 0) yield finish(new Uint8Array());
}
