import { InvalidArgumentError } from 'commander';

/** A host with its port, as people write it. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** `example.com` is port 443, `example.com:8443` that one. */
export function readPlace(text: string): Place {
  const [, host = '', port = '443'] = /^([^:\s/]{1,253})(?::([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (host === '') throw new InvalidArgumentError('It must be a host, such as github.com or git.example.com:8443.');
  return { host, port: Number(port) };
}
