import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { errorTable } from '../../kernel/error-table.ts';
import { shorten } from '../../kernel/json-text.ts';
import { CaissonError, type ErrorBody } from '../../kernel/errors.ts';

/** Issues of a refused input that an error lists. */
const issueLimit = 10;
/** They quote the input, such as names that nobody knows. In characters. */
const longest = { path: 100, message: 300, text: 1_500 } as const;

/** The one mapper from our errors to tRPC's. What is not ours becomes INTERNAL_SERVER_ERROR with its cause. */
export function toTrpcError(thrown: unknown): TRPCError {
  if (thrown instanceof TRPCError) return thrown.cause instanceof CaissonError ? toTrpcError(thrown.cause) : thrown;
  if (thrown instanceof CaissonError) {
    return new TRPCError({ code: errorTable[thrown.code].trpc, message: thrown.message, cause: thrown });
  }
  return new TRPCError({ code: 'INTERNAL_SERVER_ERROR', cause: thrown });
}

/** What a caller is told of an error: always one of our codes, never internals. */
export function errorBodyOf(error: TRPCError): ErrorBody {
  if (error.cause instanceof CaissonError) return error.cause.toJSON();
  if (error.code === 'BAD_REQUEST' && error.cause instanceof z.ZodError) return refusedInput(error.cause).toJSON();
  switch (error.code) {
    case 'PARSE_ERROR':
    case 'BAD_REQUEST':
      return badRequest(error.cause instanceof SyntaxError ? 'The input is not valid JSON.' : error.message);
    case 'NOT_FOUND':
    case 'METHOD_NOT_SUPPORTED':
    case 'UNSUPPORTED_MEDIA_TYPE':
      return badRequest(error.message);
    case 'PAYLOAD_TOO_LARGE':
      return new CaissonError('BODY_TOO_LARGE', 'The request body is too large.').toJSON();
    default:
      return new CaissonError('INTERNAL', 'Something went wrong inside Caisson.').toJSON();
  }
}

/** Whether an error is a defect of ours, which the log must hold. */
export function isDefect(error: TRPCError): boolean {
  return errorBodyOf(error).code === 'INTERNAL';
}

function badRequest(message: string): ErrorBody {
  return new CaissonError('BAD_REQUEST', message).toJSON();
}

/** Names the field of each issue, e.g. "name: must …". */
function refusedInput(error: z.ZodError): CaissonError {
  const issues = issuesOf(error);
  const text = issues.map(({ path, message }) => textOf(path, message)).join('; ');
  return new CaissonError('BAD_REQUEST', `The input is not valid: ${shorten(text, longest.text)}.`, {
    details: { issues },
  });
}

/** The first issues of an input, each short, whatever the input was. */
export function issuesOf(error: z.ZodError): readonly { readonly path: string; readonly message: string }[] {
  return error.issues.slice(0, issueLimit).map((issue) => ({
    path: shorten(z.core.toDotPath(issue.path), longest.path),
    message: shorten(messageOf(issue), longest.message),
  }));
}

/** Of what can be one of several things: what it lacks to be each of them. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue.message;
  const lacks = issue.errors.flatMap(([first]) =>
    first === undefined ? [] : [textOf(z.core.toDotPath(first.path), messageOf(first))],
  );
  return [...new Set(lacks)].join('; or ');
}

function textOf(path: string, message: string): string {
  return path === '' ? message : `${path}: ${message}`;
}
