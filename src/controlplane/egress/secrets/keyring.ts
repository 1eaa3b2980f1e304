import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { CaissonError } from '../../../kernel/errors.ts';

/** A text that only who has the key can read. */
export interface Sealed {
  readonly keyVersion: number;
  /** Nonce, tag and ciphertext, in base64url. */
  readonly text: string;
}

/** Keys of 32 bytes by their version. */
export type SecretKeys = ReadonlyMap<number, Buffer>;

const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/**
 * Seals texts with AES-256-GCM, each for one identity: with another it cannot be opened, so what is sealed cannot be moved. The
 * key with the highest version seals; those before it open what they have sealed.
 */
export class SecretKeyring {
  readonly #keys: SecretKeys;
  /** That of the key that seals. */
  readonly version: number;

  /** At least one key. */
  constructor(keys: SecretKeys) {
    this.#keys = keys;
    this.version = Math.max(...keys.keys());
  }

  seal(text: string, identity: string): Sealed {
    const key = this.#keys.get(this.version);
    if (key === undefined) throw new TypeError('A keyring needs a key.');
    const nonce = randomBytes(nonceBytes);
    const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(identity));
    const sealed = Buffer.concat([sealing.update(text, 'utf8'), sealing.final()]);
    return {
      keyVersion: this.version,
      text: Buffer.concat([nonce, sealing.getAuthTag(), sealed]).toString('base64url'),
    };
  }

  /** @throws CaissonError SECRET_UNREADABLE without its key, and for what was not sealed so for this identity. */
  open({ keyVersion, text }: Sealed, identity: string): string {
    const key = this.#keys.get(keyVersion);
    if (key === undefined) throw unreadable();
    const bytes = Buffer.from(text, 'base64url');
    try {
      const opening = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
        .setAAD(Buffer.from(identity))
        .setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      const opened = Buffer.concat([opening.update(bytes.subarray(nonceBytes + tagBytes)), opening.final()]);
      return opened.toString('utf8');
    } catch (cause) {
      throw unreadable(cause);
    }
  }
}

/** A new key, as `readKeys` reads it. */
export function newKeyText(): string {
  return `1:${randomBytes(keyBytes).toString('base64')}`;
}

/** Keys as `<version>:<32 bytes in base64>`, separated by commas or lines. Undefined for anything else. */
export function readKeys(text: string): SecretKeys | undefined {
  const keys = new Map<number, Buffer>();
  for (const each of text.trim().split(/\s*[,\n]\s*/)) {
    const [, version = '', encoded = ''] = /^([1-9]\d{0,8}):([A-Za-z0-9+/_-]{43}=?)$/.exec(each) ?? [];
    const key = Buffer.from(encoded, 'base64');
    if (key.length !== keyBytes || keys.has(Number(version))) return undefined;
    keys.set(Number(version), key);
  }
  return keys;
}

function unreadable(cause?: unknown): CaissonError {
  return new CaissonError('SECRET_UNREADABLE', 'The secret cannot be read with the key that is here.', { cause });
}
