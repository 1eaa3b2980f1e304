import type { SecretForm } from './secret.ts';

/** What a request carries, and what no answer may. */
export interface Credential {
  /** In lower case. */
  readonly header: string;
  readonly value: string;
  /** Each text that gives the secret away. */
  readonly hidden: readonly string[];
}

/** How the host is shown the value. */
export function credentialOf(form: SecretForm, value: string): Credential {
  switch (form.kind) {
    case 'bearer':
      return { header: 'authorization', value: `Bearer ${value}`, hidden: [value] };
    case 'basic': {
      const encoded = Buffer.from(`${form.username}:${value}`).toString('base64');
      return { header: 'authorization', value: `Basic ${encoded}`, hidden: [encoded, value] };
    }
    case 'header':
      return { header: form.header, value, hidden: [value] };
  }
}
