import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CaissonError } from '../../../kernel/errors.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { replacePrivateFile } from '../../data-dir.ts';
import { newKeyText, readKeys, SecretKeyring, type SecretKeys } from './keyring.ts';

interface KeyringOptions {
  readonly dataDir: string;
  /** Of the settings; null: those of the file. */
  readonly keys: SecretKeys | null;
  readonly logger: Logger;
}

/**
 * The keys of the settings, or of `<dataDir>/secrets.key` (mode 600), which is made where there is none. Without its key a
 * secret is lost, and nothing else.
 *
 * @throws CaissonError CONFIG_INVALID when the file cannot be read, or holds something else: it is never overwritten.
 */
export async function openKeyring({ dataDir, keys, logger }: KeyringOptions): Promise<SecretKeyring> {
  if (keys !== null) return new SecretKeyring(keys);
  const file = join(dataDir, 'secrets.key');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      await chmod(file, 0o600);
      logger.warn({ file }, 'others could read the key of the secrets; the file is private again');
    }
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) {
      throw new CaissonError('CONFIG_INVALID', `${file} cannot be read.`, { cause });
    }
    text = newKeyText();
    await replacePrivateFile(file, `${text}\n`);
  }
  const found = readKeys(text);
  if (found !== undefined) return new SecretKeyring(found);
  throw new CaissonError('CONFIG_INVALID', `${file} does not hold keys.`, {
    hint: 'Each line is `<version>:<32 bytes in base64>`. Bring the file back; without it every secret has to be set again.',
  });
}
