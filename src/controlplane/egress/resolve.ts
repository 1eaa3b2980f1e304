import { lookup, Resolver } from 'node:dns/promises';
import { orAbort } from '../../kernel/deadline.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { SerialQueue } from '../../kernel/serial-queue.ts';
import type { EgressTarget } from './ports.ts';
import { isAddress, targetText } from './target.ts';

/** Every address of a name, IPv4 first. Empty for a name that has none, or is not there. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** What says that a name has no such address, and not that nobody could be asked. */
const noAddress: ReadonlySet<unknown> = new Set(['ENODATA', 'ENOTFOUND']);

/**
 * Asks the name servers of this machine, and nothing else: a name that only this machine's own files know (`localhost`) is not
 * there. Any number of names at a time, without Node's threads, which files and `lookup` share.
 */
export const resolvePublic: Resolve = async (host, signal) => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  const ask = async (question: Promise<string[]>): Promise<string[]> => {
    try {
      return await question;
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && noAddress.has(thrown.code)) return [];
      throw thrown;
    }
  };
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await Promise.allSettled([ask(resolver.resolve4(host)), ask(resolver.resolve6(host))]);
    signal.throwIfAborted();
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (found.length === 0 && failed !== undefined) throw failed.reason;
    return found;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
};

/** Names that are asked for at a time or are to be, those included for which nobody waits any more: they go when it is their turn. */
const mostQuestions = 1_000;

type Ask = (host: string) => Promise<readonly string[]>;

/** A name that is being asked for, or is to be. */
interface Question {
  waiting: number;
  readonly answer: Promise<readonly string[]>;
}

const lookUp: Ask = async (host) =>
  (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);

/**
 * As any program of this machine finds names, its own files included: for the hosts that an operator has named. A question that
 * nobody answers cannot be taken back and keeps one of Node's threads for many seconds; two are all that there are for names,
 * those of model services too. So one name is asked at a time, once for all who wait for it, and none for which nobody waits.
 * Beyond 1,000 names a further one is refused: LIMIT_REACHED.
 */
export function internalResolver(ask: Ask = lookUp): Resolve {
  const queue = new SerialQueue();
  const questions = new Map<string, Question>();
  const begin = (host: string): Question => {
    if (questions.size >= mostQuestions) {
      throw new CaissonError('LIMIT_REACHED', `${mostQuestions} names are being asked for already.`);
    }
    const answer: Promise<readonly string[]> = queue.run(async () => {
      try {
        return question.waiting === 0 ? [] : await ask(host);
      } finally {
        questions.delete(host);
      }
    });
    answer.catch(() => undefined); // whoever still waits hears of it
    const question: Question = { waiting: 0, answer };
    questions.set(host, question);
    return question;
  };
  return async (host, signal) => {
    const question = questions.get(host) ?? begin(host);
    question.waiting += 1;
    try {
      return await orAbort(question.answer, signal);
    } finally {
      question.waiting -= 1;
    }
  };
}

/** The addresses that a target leads to: itself where it is one. @throws CaissonError EGRESS_UNREACHABLE. */
export async function addressesOf(
  target: EgressTarget,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (isAddress(target.host)) return [target.host];
  let addresses: readonly string[];
  try {
    addresses = await resolve(target.host, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new CaissonError('EGRESS_UNREACHABLE', `The name of ${targetText(target)} could not be resolved.`, { cause });
  }
  if (addresses.length > 0) return addresses;
  throw new CaissonError('EGRESS_UNREACHABLE', `There is no host ${target.host}.`);
}
