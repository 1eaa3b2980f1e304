/**
 * What a sandbox holds is never shown on the control plane's origin: it is an attachment, without a type, in a sandbox of
 * its own should a browser open it all the same.
 */
export function safeContentHeaders(name: string): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'content-disposition': contentDisposition(name),
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'private, no-cache',
  };
}

/** RFC 6266: a name of ASCII for all, and the whole name as UTF-8. */
function contentDisposition(name: string): string {
  const plain = name.replaceAll(/[^ -~]|["\\%/]/g, '_') || 'file';
  const whole = encodeURIComponent(name.toWellFormed()).replaceAll(/['()*!]/g, (sign) => {
    return `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return `attachment; filename="${plain}"; filename*=UTF-8''${whole}`;
}
