import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { maxTrustBytes } from '../../wire/contract/egress.ts';

/** The rest is for the agent's own authority. */
const mostBytes = maxTrustBytes - 4 * 1024;
const certificate = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM file, and nothing else of it. Empty for null.
 *
 * @throws CaissonError CONFIG_INVALID for a file that cannot be read, holds no certificate, one that cannot be read, or a
 *   private key (every sandbox would get to read it), or more than 252 KiB.
 */
export async function readExtraAuthorities(path: string | null): Promise<string> {
  if (path === null) return '';
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw invalid(path, `cannot be read: ${errorText(cause)}`, cause);
  }
  if (text.includes('PRIVATE KEY-----')) throw invalid(path, 'holds a private key, which no sandbox must see');
  const found = text.match(certificate) ?? [];
  if (found.length === 0) throw invalid(path, 'holds no certificate (PEM)');
  let all: string;
  try {
    all = found.map((pem) => new X509Certificate(pem).toString()).join('');
  } catch (cause) {
    throw invalid(path, 'holds a certificate that cannot be read', cause);
  }
  if (Buffer.byteLength(all) > mostBytes) throw invalid(path, `is larger than ${mostBytes / 1024} KiB`);
  return all;
}

function invalid(path: string, what: string, cause?: unknown): CaissonError {
  return new CaissonError('CONFIG_INVALID', `CAISSON_EXTRA_CA_FILE=${path} ${what}.`, {
    hint: 'Name a PEM file with the certificates of your own authorities.',
    cause,
  });
}
