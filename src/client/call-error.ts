import { TRPCClientError } from '@trpc/client';
import { CaissonError, readErrorBody } from '../kernel/errors.ts';
import { callFailed } from './endpoint.ts';

/** Whatever a query or mutation threw, as the control plane meant it. */
export function callError(url: string, thrown: unknown, signal?: AbortSignal): CaissonError {
  if (!(thrown instanceof TRPCClientError)) return callFailed(url, thrown, signal);
  if (thrown.shape === undefined || thrown.shape === null) return callFailed(url, thrown.cause ?? thrown, signal);
  return errorOfShape(thrown.shape);
}

/** Reads the error shape of the API, which carries ours as `data.caisson`. */
export function errorOfShape(shape: unknown): CaissonError {
  const { message, data } = record(shape);
  const { caisson, path, httpStatus } = record(data);
  const own = readErrorBody(caisson);
  if (own !== undefined) return own;
  const said = typeof message === 'string' ? message : 'no message';
  return new CaissonError(
    'INTERNAL',
    `The control plane answered with an error that the client does not know: ${said}`,
    {
      hint: 'The versions of the client and of the control plane may differ. Compare `caisson --version` with `caisson doctor`.',
      details: { path, httpStatus },
    },
  );
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
