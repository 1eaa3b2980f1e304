import { expect, test } from 'vitest';
import { harnessCommandVariable, harnessNames, launchProfile } from '../../src/acp/launch-profiles.ts';
import { promptBlocks } from '../../src/acp/prompt-blocks.ts';

test('every harness has a profile by its name', () => {
  expect(harnessNames).toEqual(['codex', 'claude']);
  for (const name of harnessNames) expect(launchProfile(name, {})).toMatchObject({ name });
});

test('an unknown harness is a configuration error that names the known ones', () => {
  expect(() => launchProfile('toString', {})).toThrowError(
    expect.objectContaining({ code: 'CONFIG_INVALID', hint: 'Choose one of: codex, claude.' }),
  );
});

test('codex is told its model by configuration', () => {
  const { environment } = launchProfile('codex', {});
  expect(environment({ model: 'gpt-5.5' })['CODEX_CONFIG']).toBe('{"model":"gpt-5.5"}');
  expect(environment({ model: null })).not.toHaveProperty('CODEX_CONFIG');
});

test('another command can be put in the place of the harness', () => {
  expect(launchProfile('codex', { [harnessCommandVariable]: '["node","x.ts"]' }).command).toEqual(['node', 'x.ts']);
  for (const wrong of ['node', '[]', '"node"', '[1]']) {
    expect(() => launchProfile('codex', { [harnessCommandVariable]: wrong })).toThrowError(harnessCommandVariable);
  }
});

test('text that begins with a slash is put where codex looks for no command; other text is left alone', () => {
  const profile = launchProfile('codex', {});
  const texts = (text: string) => promptBlocks([{ type: 'text', text }], profile).map((block) => block['text']);
  expect(texts('/status')).toEqual([' ', '/status']);
  expect(texts('\n /logout now')).toEqual([' ', '\n /logout now']);
  expect(texts('what is /etc?')).toEqual(['what is /etc?']);
});

test('blocks that are no text go as they came; what is no block is refused', () => {
  const profile = launchProfile('codex', {});
  const block = { type: 'image', data: 'aGk=', mimeType: 'image/png' };
  expect(promptBlocks([{ type: 'other', block }], profile)).toEqual([block]);
  expect(() => promptBlocks([{ type: 'other', block: 'text' }], profile)).toThrowError(
    expect.objectContaining({ code: 'BAD_REQUEST' }),
  );
});

test('Codex itself is not pointed at the way out; its commands are, by its configuration', () => {
  const given = launchProfile('codex', {}).environment({ model: null });
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']) {
    expect([given[name], given[name.toLowerCase()]]).toEqual(['', '']);
  }
});
