import { expect, test } from 'vitest';
import { emailSchema } from '../../../src/controlplane/login/email.ts';

test('an address is the same in upper and lower case', () => {
  expect(emailSchema.parse(' Ida@Example.COM ')).toBe('ida@example.com');
});

test.each([
  ['the sign of Kelvin, which Unicode lower-cases to k', '\u212Aim@example.com', 'kim@example.com'],
  ['the same in the domain', 'ida@ban\u212A.example', 'ida@bank.example'],
  ['a grave accent of its own, which NFC makes a plain one', 'ida\u1FEF@example.com', 'ida`@example.com'],
  ['the sign of \u00C5ngstr\u00F6m', '\u212Asa@example.com', '\u00E5sa@example.com'],
  ['an accent that stands behind its letter', 'ide\u0301e@example.com', 'id\u00E9e@example.com'],
])('%s makes it no other one', (_, given, other) => {
  expect(emailSchema.parse(given)).not.toBe(emailSchema.parse(other));
});
