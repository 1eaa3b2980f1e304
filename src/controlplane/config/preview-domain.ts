import type { Settings } from './settings.ts';

/** Under which previews have their names, in lower case. Default: that of the address of previews, else of loopback. */
export function previewDomain({ CAISSON_PREVIEW_DOMAIN: domain, CAISSON_PREVIEW_URL: url }: Settings): string {
  return (domain ?? (url === undefined ? 'preview.localhost' : new URL(url).hostname)).toLowerCase();
}
