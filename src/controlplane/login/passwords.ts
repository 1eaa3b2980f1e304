import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { CaissonError } from '../../kernel/errors.ts';

/** One of the settings that OWASP names for scrypt: 32 MiB and a few tenths of a second each. */
const cost = { N: 2 ** 15, r: 8, p: 3 } as const;
const maxmem = 64 * 1_024 ** 2;
const hashBytes = 32;
const saltBytes = 16;

/** In characters (code points). The longest is what a person pastes; scrypt itself takes any length. */
export const passwordLength = { least: 12, most: 256 } as const;

/** Of those that wait for their turn; a further one is refused. */
const mostWaiting = 64;

/** Of the same cost as any other, and of no password: made of chance. */
const nobody = 'scrypt$32768$8$3$T97T94INElCXUrOnZtn4UQ$lhimrtnY5SSABmjAZbIRVGjSP5X-r8oObzzsVsCNYOE';

const stored = /^scrypt\$(\d+)\$(\d+)\$(\d+)\$([A-Za-z0-9_-]+)\$([A-Za-z0-9_-]+)$/;

/**
 * Password hashes, by Node's scrypt: `scrypt$N$r$p$salt$hash`. They are made and checked one at a time, in the order of asking:
 * each takes a thread that files need too, and 32 MiB.
 */
export class Passwords {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * Whether it may be somebody's password at all.
   *
   * @throws CaissonError BAD_REQUEST, which says why not.
   */
  check(password: string, { email, name }: { readonly email: string; readonly name: string }): void {
    const { least, most } = passwordLength;
    const length = Array.from(password).length;
    if (length < least || length > most) {
      throw new CaissonError('BAD_REQUEST', `A password has ${least} to ${most} characters.`, {
        hint: `This one has ${length}.`,
      });
    }
    const same = [email, name].some((each) => each.toLowerCase() === password.toLowerCase());
    const few = new Set(password).size < 4;
    if (same || few) {
      throw new CaissonError('BAD_REQUEST', 'This password is too easy to guess.', {
        hint: 'Take one that is not your email or your name, and has at least four different characters.',
      });
    }
  }

  /** Errors: RATE_LIMITED where too many wait. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(saltBytes);
    const hash = await this.#inTurn(() => derive(password, salt, cost));
    return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), hash.toString('base64url')].join('$');
  }

  /** Takes as long where there is no hash: then it is false. Errors: RATE_LIMITED where too many wait. */
  async verify(password: string, hash: string | null): Promise<boolean> {
    const [, n = '', r = '', p = '', salt = '', expected = ''] = stored.exec(hash ?? nobody) ?? [];
    const wanted = Buffer.from(expected, 'base64url');
    const terms = { N: Number(n), r: Number(r), p: Number(p) };
    const given = await this.#inTurn(() => derive(password, Buffer.from(salt, 'base64url'), terms));
    return given.length === wanted.length && timingSafeEqual(given, wanted) && hash !== null;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting) {
      throw new CaissonError('RATE_LIMITED', 'Too many people sign in at this moment.', {
        hint: 'Try again in a minute.',
        details: { retryAfterMs: 60_000 },
      });
    }
    this.#waiting += 1;
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined); // told to who asked
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }
}

async function derive(
  password: string,
  salt: Buffer,
  terms: { readonly N: number; readonly r: number; readonly p: number },
): Promise<Buffer> {
  // The same characters can be typed in several ways.
  const text = password.normalize('NFKC');
  return await new Promise((resolve, reject) => {
    scrypt(text, salt, hashBytes, { ...terms, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}
