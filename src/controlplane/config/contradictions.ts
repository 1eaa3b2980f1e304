import { previewDomain } from './preview-domain.ts';
import type { Settings } from './settings.ts';

/** What settings that are each allowed cannot mean together, one sentence each. */
export function contradictions(settings: Settings): string[] {
  return [...sizeProblems(settings), ...previewProblems(settings), ...loginProblems(settings)];
}

function sizeProblems({ CAISSON_MAX_BODY_BYTES: body, CAISSON_MAX_MESSAGE_BYTES: message }: Settings): string[] {
  if (body >= message) return [];
  return [
    'CAISSON_MAX_BODY_BYTES is smaller than CAISSON_MAX_MESSAGE_BYTES; the largest message must fit into a body.',
  ];
}

/** A name that the API answers to must not lie in the preview domain: it would no longer be answered. */
function previewProblems(settings: Settings): string[] {
  const domain = previewDomain(settings);
  const { CAISSON_PREVIEW_URL: url, CAISSON_HOST: host, CAISSON_ALLOWED_HOSTS: allowed = [] } = settings;
  const problems: string[] = [];
  if (url !== undefined && new URL(url).hostname !== domain) {
    problems.push(`CAISSON_PREVIEW_URL must be an address of CAISSON_PREVIEW_DOMAIN, which is ${domain}.`);
  }
  for (const name of ['localhost', host, ...allowed].map((each) => each.toLowerCase())) {
    if (name !== domain && !name.endsWith(`.${domain}`)) continue;
    problems.push(`CAISSON_PREVIEW_DOMAIN=${domain} must not hold ${name}, where the API is.`);
  }
  return problems;
}

/** Half of a sign-in would be none, or one that nobody meant. */
function loginProblems(settings: Settings): string[] {
  const { CAISSON_OIDC_ISSUER: issuer, CAISSON_OIDC_CLIENT_ID: clientId, CAISSON_PUBLIC_URL: publicUrl } = settings;
  const { CAISSON_OIDC_CLIENT_SECRET: secret, CAISSON_OIDC_CLIENT_SECRET_FILE: file } = settings;
  const problems: string[] = [];
  if ((issuer === undefined) !== (clientId === undefined)) {
    problems.push('CAISSON_OIDC_ISSUER and CAISSON_OIDC_CLIENT_ID go together.');
  }
  if (issuer === undefined && (secret ?? file ?? settings.CAISSON_OIDC_DOMAINS) !== undefined) {
    problems.push('CAISSON_OIDC_CLIENT_SECRET, its file and CAISSON_OIDC_DOMAINS need CAISSON_OIDC_ISSUER.');
  }
  if (secret !== undefined && file !== undefined) {
    problems.push('Set CAISSON_OIDC_CLIENT_SECRET or CAISSON_OIDC_CLIENT_SECRET_FILE, not both.');
  }
  const host = publicUrl === undefined ? '' : new URL(publicUrl).hostname;
  const domain = previewDomain(settings);
  if (host === domain || host.endsWith(`.${domain}`)) {
    problems.push(`CAISSON_PUBLIC_URL must not lie in the preview domain, ${domain}.`);
  }
  return problems;
}
