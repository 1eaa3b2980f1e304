import { CaissonError } from '../../../kernel/errors.ts';
import { endToEndHeaders } from '../../../wire/end-to-end-headers.ts';
import { canonicalHost, isAddress } from '../target.ts';
import type { SecretForm } from './secret.ts';

/** Shorter ones are guessed, and taken out of answers that only look like them. */
const leastSecret = 8;
const longestSecret = 8 * 1024;

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
/** Speak of the message, or of where it goes. */
const reserved = new Set(['content-length', 'content-encoding', 'content-type', 'accept-encoding', 'range']);
const portOfPlainHttp = 80;

interface NewSecretInput {
  readonly host: string;
  readonly port: number;
  readonly form: SecretForm;
  readonly value: string;
}

/**
 * A secret that can be used as it is meant, in the one spelling that the gateway knows it by.
 *
 * @throws CaissonError BAD_REQUEST, which never holds the value.
 */
export function checkedSecret({ host, port, form, value }: NewSecretInput): NewSecretInput {
  if (port === portOfPlainHttp) throw refused('Port 80 is plain HTTP, which never carries a secret.');
  return { host: hostName(host), port, form: checkedForm(form), value: checkedValue(value, form) };
}

function hostName(text: string): string {
  let host: string;
  try {
    host = canonicalHost(text);
  } catch (cause) {
    throw refused('A secret is for one host, by its name.', cause);
  }
  if (isAddress(host)) throw refused('A secret is for a host with a name: an address shows no certificate for one.');
  return host;
}

function checkedForm(form: SecretForm): SecretForm {
  switch (form.kind) {
    case 'bearer':
      return form;
    case 'basic':
      if (/^[^\p{Cc}:]{1,256}$/u.test(form.username)) return form;
      throw refused('The user name must have 1 to 256 characters, no colon and no line break.');
    case 'header': {
      const header = form.header.toLowerCase();
      const isOwn = Object.hasOwn(endToEndHeaders({ [header]: 'x' }), header) && !reserved.has(header);
      if (headerName.test(header) && isOwn) return { kind: 'header', header };
      throw refused('This is no header that a secret can be in.');
    }
  }
}

function checkedValue(value: string, form: SecretForm): string {
  const isSound = form.kind === 'basic' ? /^\P{Cc}*$/u.test(value) : /^[\x21-\x7e]+( +[\x21-\x7e]+)*$/.test(value);
  if (isSound && value.length >= leastSecret && value.length <= longestSecret) return value;
  throw refused(
    `The value must have ${leastSecret} to ${longestSecret} printable characters, without line breaks and spaces around it.`,
  );
}

function refused(message: string, cause?: unknown): CaissonError {
  return new CaissonError('BAD_REQUEST', message, cause === undefined ? {} : { cause });
}
