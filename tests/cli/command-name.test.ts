import { expect, test } from 'vitest';
import { advice, commandName } from '../../src/cli/command-name.ts';
import { connectionSettings } from '../../src/cli/commands/start.ts';
import { controlPlaneUrl } from '../../src/cli/connection.ts';

const inClone = { npm_package_name: 'caisson' };

test('in a clone the command is called through npm, elsewhere by its name', () => {
  expect(commandName(inClone)).toBe('npm run -s caisson --');
  expect(commandName({ npm_package_name: 'someone-elses' })).toBe('caisson');
  expect(commandName({})).toBe('caisson');
});

test('advice is told with the command that works here, and nothing else in it changes', () => {
  expect(advice('List them with `caisson runs list <agent>`.', inClone)).toBe(
    'List them with `npm run -s caisson -- runs list <agent>`.',
  );
  const other = 'Caisson pulls caisson/sandbox:latest into /home/caisson for the user caisson.';
  expect(advice(other, inClone)).toBe(other);
});

test.for([
  [{}, 'http://127.0.0.1:7070'],
  [{ CAISSON_PORT: '7171' }, 'http://127.0.0.1:7171'],
  [{ CAISSON_PORT: '0' }, 'http://127.0.0.1:7070'],
  [{ CAISSON_HOST: '0.0.0.0' }, 'http://127.0.0.1:7070'],
  [{ CAISSON_HOST: '::1', CAISSON_PORT: '80' }, 'http://[::1]:80'],
  [{ CAISSON_URL: 'https://caisson.example', CAISSON_PORT: '7171' }, 'https://caisson.example'],
] as const)('the control plane is looked for where one with this environment listens: %j', ([environment, url]) => {
  expect(controlPlaneUrl(environment)).toBe(url);
});

test('start names what another shell must set to reach it, and nothing where that is the default', () => {
  const dataDir = `${process.cwd()}/.caisson`;
  expect(connectionSettings({ url: 'http://127.0.0.1:7070', dataDir })).toBe('');
  expect(connectionSettings({ url: 'http://127.0.0.1:7171', dataDir })).toBe('CAISSON_URL=http://127.0.0.1:7171 ');
  expect(connectionSettings({ url: 'http://127.0.0.1:7070', dataDir: "/srv/it's here" })).toBe(
    "CAISSON_DATA_DIR='/srv/it'\\''s here' ",
  );
});
