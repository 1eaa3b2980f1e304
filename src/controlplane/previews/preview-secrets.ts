import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CaissonError } from '../../kernel/errors.ts';
import { previewIdSchema, type PreviewId } from '../../kernel/ids.ts';
import { replacePrivateFile } from '../data-dir.ts';
import type { Preview } from './preview.ts';

const tokenPattern = /^cpv_[A-Za-z0-9_-]{43}$/;

/** A new token of a link: 256 bits of chance. */
export function newPreviewToken(): string {
  return `cpv_${randomBytes(32).toString('base64url')}`;
}

/** What is stored of a token; undefined for what cannot be one. It has 256 bits of chance, so it needs no salt. */
export function hashPreviewToken(token: string): string | undefined {
  return tokenPattern.test(token) ? createHash('sha256').update(token).digest('hex') : undefined;
}

/** Signs the cookies of visitors with a key that only this control plane has: `<preview id>.<signature>`. */
export class CookieSigner {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  sign(preview: Pick<Preview, 'id' | 'agentId' | 'port'>): string {
    return `${preview.id}.${this.#signature(preview).toString('base64url')}`;
  }

  /** Whose cookie this is, when it was signed here for just this agent and port. */
  read(value: string, place: Pick<Preview, 'agentId' | 'port'>): PreviewId | undefined {
    const [name = '', signature = '', ...more] = value.split('.');
    const id = previewIdSchema.safeParse(name);
    if (!id.success || more.length > 0) return undefined;
    const [given, expected] = [Buffer.from(signature, 'base64url'), this.#signature({ id: id.data, ...place })];
    return given.length === expected.length && timingSafeEqual(given, expected) ? id.data : undefined;
  }

  #signature({ id, agentId, port }: Pick<Preview, 'id' | 'agentId' | 'port'>): Buffer {
    return createHmac('sha256', this.#key).update(`preview ${id} ${agentId} ${port}`).digest();
  }
}

/**
 * The key in `<dataDir>/preview.key`, made where there is none. Without that file the visitors' cookies are void.
 *
 * @throws CaissonError CONFIG_INVALID when the file cannot be read, or holds something else.
 */
export async function openCookieSigner(dataDir: string): Promise<CookieSigner> {
  const file = join(dataDir, 'preview.key');
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) {
      throw new CaissonError('CONFIG_INVALID', `${file} cannot be read.`, { cause });
    }
    text = randomBytes(32).toString('base64url');
    await replacePrivateFile(file, `${text}\n`);
  }
  const key = Buffer.from(text, 'base64url');
  if (key.length === 32) return new CookieSigner(key);
  throw new CaissonError('CONFIG_INVALID', `${file} does not hold a key.`, { hint: 'Delete it to get a new one.' });
}
