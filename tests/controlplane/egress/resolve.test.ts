import { expect, test } from 'vitest';
import { internalResolver } from '../../../src/controlplane/egress/resolve.ts';

/** Name servers that answer when the test says so. */
function heldServers() {
  const asked: string[] = [];
  const answers: ((addresses: readonly string[]) => void)[] = [];
  const resolve = internalResolver(async (host) => {
    asked.push(host);
    return await new Promise((answer) => answers.push(answer));
  });
  return { resolve, asked, answers };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

test('a name that nobody answers is asked once, whoever and how many ask, and keeps one question alone', async () => {
  const { resolve, asked, answers } = heldServers();
  const many = Array.from({ length: 500 }, () => resolve('hung.example', never));
  const other = resolve('other.example', never);
  await turn();
  expect(asked).toEqual(['hung.example']);
  answers[0]?.(['10.0.0.1']);
  expect(new Set(await Promise.all(many.map(async (each) => (await each)[0])))).toEqual(new Set(['10.0.0.1']));
  await turn();
  expect(asked).toEqual(['hung.example', 'other.example']);
  answers[1]?.(['10.0.0.2']);
  expect(await other).toEqual(['10.0.0.2']);
  void resolve('hung.example', never);
  await turn();
  expect(asked).toEqual(['hung.example', 'other.example', 'hung.example']);
});

test('who gives up waits no more, takes nobody with it, and what nobody waits for is not asked', async () => {
  const { resolve, asked, answers } = heldServers();
  const leaving = new AbortController();
  const stays = resolve('hung.example', never);
  const gone = ['hung.example', 'one.example', 'two.example'].map((host) => resolve(host, leaving.signal));
  const ends = Promise.allSettled(gone);
  leaving.abort(new Error('late'));
  expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  const last = resolve('two.example', never);
  answers[0]?.(['10.0.0.1']);
  expect(await stays).toEqual(['10.0.0.1']);
  await turn();
  answers[1]?.(['10.0.0.2']);
  expect(await last).toEqual(['10.0.0.2']);
  expect(asked).toEqual(['hung.example', 'two.example']);
});

test('a question that fails tells those who wait, and the next is asked anew', async () => {
  let fails = true;
  const resolve = internalResolver(async () => {
    if (fails) throw new Error('EAI_AGAIN');
    return ['10.0.0.1'];
  });
  const both = await Promise.allSettled([resolve('a.example', never), resolve('a.example', never)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  fails = false;
  expect(await resolve('a.example', never)).toEqual(['10.0.0.1']);
});

test('no more than 1,000 names wait for one that nobody answers, whoever has given up', async () => {
  const { resolve, answers } = heldServers();
  const leaving = new AbortController();
  const head = resolve('hung.example', never);
  const gone = Array.from({ length: 999 }, (_, index) => resolve(`${index}.example`, leaving.signal));
  const ends = Promise.allSettled(gone);
  leaving.abort(new Error('late'));
  await ends;
  await expect(resolve('one-more.example', never)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  const known = resolve('7.example', never);
  answers[0]?.(['10.0.0.1']);
  expect(await head).toEqual(['10.0.0.1']);
  await turn();
  answers[1]?.(['10.0.0.7']);
  expect(await known).toEqual(['10.0.0.7']);
  void resolve('one-more.example', never);
  await turn();
  expect(answers).toHaveLength(3);
});
