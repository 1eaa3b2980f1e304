import { join } from 'node:path';
import { egressProxy, trustFiles } from '../../wire/contract/egress.ts';

/** What stays in the sandbox. */
const direct = 'localhost,127.0.0.1,::1';

interface ToolEnvironmentOptions {
  readonly runDirectory: string;
  readonly httpProxyPort: number;
}

/**
 * What points programs at the way out, and at the certificate authorities of the sandbox. Programs that do not look at their
 * environment have the same in their own files (`images/sandbox/etc`). ALL_PROXY names the HTTP proxy too: some libraries
 * fail over a SOCKS address that they have no code for.
 */
export function toolEnvironment({
  runDirectory,
  httpProxyPort,
}: ToolEnvironmentOptions): Readonly<Record<string, string>> {
  const http = `http://${egressProxy.host}:${httpProxyPort}`;
  const bundle = join(runDirectory, trustFiles.bundle);
  return {
    HTTP_PROXY: http,
    HTTPS_PROXY: http,
    ALL_PROXY: http,
    NO_PROXY: direct,
    http_proxy: http,
    https_proxy: http,
    all_proxy: http,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: '1',
    NODE_EXTRA_CA_CERTS: join(runDirectory, trustFiles.extra),
    SSL_CERT_FILE: bundle,
    CURL_CA_BUNDLE: bundle,
    GIT_SSL_CAINFO: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    PIP_CERT: bundle,
    CARGO_HTTP_CAINFO: bundle,
  };
}
