import { expect, test } from 'vitest';
import { answeredData } from '../../src/client/call-answer.ts';

test.each([
  [{ result: { data: { name: 'a' } } }, { name: 'a' }],
  [{ result: { data: null } }, null],
  [{ result: {} }, undefined],
])('%j is an answer', (answer, data) => {
  expect(answeredData(answer)).toEqual(data);
});

test('an error of the control plane is thrown as it was meant', () => {
  const caisson = {
    code: 'NAME_TAKEN',
    message: 'It is taken.',
    hint: 'Choose another.',
    retryable: false,
    details: {},
  };
  const error = { code: -32_009, message: 'It is taken.', data: { path: 'agents.create', httpStatus: 409, caisson } };
  expect(() => answeredData({ error })).toThrow(
    expect.objectContaining({ code: 'NAME_TAKEN', message: 'It is taken.' }),
  );
});

test.each([[null], ['text'], [[]], [{}], [{ result: null }], [{ result: 'text' }], [{ error: null }], [{ error: {} }]])(
  '%j is none',
  (answer) => {
    expect(() => answeredData(answer)).toThrow('what it answers is no answer to a call');
  },
);
