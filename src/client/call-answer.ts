import { CaissonError, readErrorBody } from '../kernel/errors.ts';

/**
 * What a query or mutation was answered, in the form of tRPC.
 *
 * @throws CaissonError of the control plane; Error for what is no answer of it.
 */
export function answeredData(answer: unknown): unknown {
  const { result, error } = record(answer);
  if (typeof record(error)['code'] === 'number') throw errorOfShape(error);
  if (error === undefined && typeof result === 'object' && result !== null) return record(result)['data'];
  throw new Error('what it answers is no answer to a call');
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
