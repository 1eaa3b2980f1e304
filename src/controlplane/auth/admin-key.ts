import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { replacePrivateFile } from '../data-dir.ts';
import type { KeyService } from './key-service.ts';
import type { IdentityStore, Principal } from './identity.ts';
import { isFull } from './full-key.ts';
import { isKeySecret, newKeySecret } from './key-secret.ts';

const adminUserName = 'admin';

/** Where the administrator's key is. `unusable`: the file holds something that is not a live key; `problem` says what to do. */
export type AdminKey =
  | { readonly state: 'created' | 'valid'; readonly file: string; readonly secret: string }
  | { readonly state: 'unusable'; readonly file: string; readonly problem: string };

interface AdminKeyOptions {
  readonly keys: KeyService;
  readonly store: IdentityStore;
  readonly dataDir: string;
  readonly logger: Logger;
}

/**
 * Makes sure that who owns the data directory can get in. Without `<dataDir>/admin.key` (the first start, or the file was
 * deleted to get a new key), and when no administrator has a full key, a key of the user `admin` is made and written
 * there, mode 600, all or nothing: it can make other keys, and `admin` is enabled by it. A file that is there is verified,
 * and left alone when it does not work.
 */
export async function ensureAdminKey(options: AdminKeyOptions): Promise<AdminKey> {
  const { keys, dataDir, logger } = options;
  const file = join(dataDir, 'admin.key');
  const secret = await readSecret(file, logger);
  if (secret === undefined) return await createAdminKey(options, file);
  const refusal = await refusalOf(keys, secret);
  if (refusal === undefined) return { state: 'valid', file, secret };
  if (!(await anAdminHasAKey(options.store))) {
    logger.warn({ file }, 'no administrator has a full API key, so the file with the old one is replaced');
    return await createAdminKey(options, file);
  }
  return {
    state: 'unusable',
    file,
    problem: `${file} does not hold a working administrator key (${refusal}) To get a new one, delete the file and start again; or put a working key into it.`,
  };
}

async function createAdminKey({ keys, store }: AdminKeyOptions, file: string): Promise<AdminKey> {
  const secret = newKeySecret();
  const user = await store.findUserByName(adminUserName);
  if (user?.disabledAt != null) await store.enableUser(user.id);
  await keys.issue({ user: adminUserName, role: 'admin', name: 'admin.key', secret, mayIssue: true });
  await replacePrivateFile(file, `${secret}\n`);
  return { state: 'created', file, secret };
}

/** The file's text; undefined when there is no file. A file that others can read is closed to them. */
async function readSecret(file: string, logger: Logger): Promise<string | undefined> {
  try {
    const secret = (await readFile(file, 'utf8')).trim();
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      await chmod(file, 0o600);
      logger.warn({ file }, 'others could read the administrator key; the file is private again');
    }
    return secret;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw new CaissonError('CONFIG_INVALID', `${file} cannot be read.`, {
      hint: 'Make it readable for the user that runs Caisson, or delete it to get a new key.',
      cause: thrown,
    });
  }
}

/** Why the text of the file is no administrator's key; undefined when it is. */
async function refusalOf(keys: KeyService, secret: string): Promise<string | undefined> {
  if (!isKeySecret(secret)) return 'its text is not an API key.';
  let principal: Principal;
  try {
    principal = await keys.authenticateSecret(secret);
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'UNAUTHORIZED') return thrown.message;
    throw thrown;
  }
  return principal.role === 'admin' ? undefined : `it belongs to the ${principal.role} ${principal.userName}.`;
}

async function anAdminHasAKey(store: IdentityStore): Promise<boolean> {
  const admin = await store.findUserByName(adminUserName);
  if (admin === undefined) return false;
  const keys = await store.listKeys(null);
  return keys.some(({ key, user }) => user.role === 'admin' && user.disabledAt === null && isFull(key));
}
