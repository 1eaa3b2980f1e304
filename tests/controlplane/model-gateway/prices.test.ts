import { expect, test } from 'vitest';
import { priceOf, pricedModels } from '../../../src/controlplane/model-gateway/prices.ts';
import { noTokens } from '../../../src/controlplane/model-gateway/token-counts.ts';

test('a cached token, a written one and an answer each have their own price', () => {
  const counts = { input: 1_000, cachedInput: 300, cacheWrite: 200, output: 100, reasoning: 40 };
  expect(priceOf('gpt-5.5').cost(counts)).toBe(700 * 5 + 300 * 0.5 + 100 * 30);
  expect(priceOf('claude-opus-5-5').cost(counts)).toBe(500 * 4 + 300 * 0.2 + 200 * 5 + 100 * 20);
});

test('a name with a date has the price of the name without it', () => {
  for (const name of ['gpt-5.5-2026-04-23', 'claude-haiku-4-5-20251001']) {
    expect(priceOf(name).version, name).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  }
});

test('a model that the table does not have is flagged, and costs as much as the dearest', () => {
  for (const name of ['my-own', 'gpt-5.5-turbo', 'toString', '__proto__']) {
    const price = priceOf(name);
    expect(price.version, name).toBe('default');
    expect(price.cost({ ...noTokens, input: 1_000, cachedInput: 1_000, output: 10 })).toBe(10_500);
  }
});

test('no call of a model in the table costs more than one of a model that is not in it', () => {
  for (const name of pricedModels) {
    for (const input of [1_000, 150_000, 400_000]) {
      for (const [cachedInput, cacheWrite] of [
        [0, 0],
        [input, 0],
        [0, input],
      ] as const) {
        const counts = { ...noTokens, input, cachedInput, cacheWrite, output: 5_000 };
        expect(priceOf(name).cost(counts), name).toBeLessThanOrEqual(priceOf('my-own').cost(counts));
      }
    }
  }
});

test('a long input makes the whole call dearer', () => {
  const price = priceOf('gpt-6.1-sol');
  expect(price.cost({ ...noTokens, input: 272_000, output: 100 })).toBe(272_000 * 2 + 100 * 10);
  expect(price.cost({ ...noTokens, input: 272_001, output: 100 })).toBe(272_001 * 4 + 100 * 15);
});

test('a cost is a whole number, rounded up, and never a millionth too much', () => {
  const price = priceOf('gpt-6-luna');
  expect(price.cost({ ...noTokens, input: 1 })).toBe(1);
  expect(price.cost({ ...noTokens, input: 30 })).toBe(3);
  expect(price.cost(noTokens)).toBe(0);
});

test('a service that counts more cached tokens than tokens makes no negative price', () => {
  expect(priceOf('gpt-5.5').cost({ ...noTokens, input: 10, cachedInput: 1_000 })).toBe(5);
});
