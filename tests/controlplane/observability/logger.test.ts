import { expect, test } from 'vitest';
import { createLogger } from '../../../src/controlplane/observability/logger.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';

function recorded(level: 'debug' | 'warn') {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  return { lines, logger: createLogger({ level, destination }) };
}

test('a line is one JSON object with its level by name and an error with its causes', () => {
  const { lines, logger } = recorded('debug');
  const err = new CaissonError('PROVIDER_UNAVAILABLE', 'No engine.', { cause: new Error('ECONNREFUSED') });
  logger.error({ agentId: 'agt-1', err }, 'a start failed');
  expect(lines).toMatchObject([
    {
      level: 'error',
      time: expect.stringMatching(/^\d{4}-/),
      msg: 'a start failed',
      agentId: 'agt-1',
      err: {
        message: expect.stringContaining('No engine.'),
        code: 'PROVIDER_UNAVAILABLE',
        stack: expect.stringContaining('ECONNREFUSED'),
      },
    },
  ]);
});

test('less important lines than the level are not written', () => {
  const { lines, logger } = recorded('warn');
  logger.debug({}, 'a');
  logger.info({}, 'b');
  logger.warn({}, 'c');
  expect(lines.map(({ msg }) => msg)).toEqual(['c']);
});

test('fields that hold secrets are hidden', () => {
  const { lines, logger } = recorded('debug');
  logger.info({ secret: 'ck_x', headers: { authorization: 'Bearer ck_x', cookie: 'ck_x' } }, 'oops');
  expect(JSON.stringify(lines)).not.toContain('ck_x');
});
