import { InvalidArgumentError, Option } from 'commander';
import { AmountRefused, readLimit } from '../controlplane/quotas/amount-text.ts';

/** The most that an agent's files may take, such as `2g`; becomes bytes. */
export function diskOption(): Option {
  return new Option('--disk <size>', 'the most that its files may take, such as 2g; at least 16m').argParser(readSize);
}

function readSize(text: string): number {
  try {
    const [, bytes] = readLimit(`disk=${text}`);
    if (bytes !== null) return bytes;
  } catch (thrown) {
    if (!(thrown instanceof AmountRefused)) throw thrown;
  }
  throw new InvalidArgumentError('It must be a size such as 500m or 2g.');
}
