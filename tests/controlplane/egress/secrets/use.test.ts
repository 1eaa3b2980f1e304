import { expect, test } from 'vitest';
import { hostName, openSecretEgress, startHost, token } from './secrets-fixture.ts';

test('a request carries the secret of its host, and the sandbox never has it', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  const secretId = await world.give({ port: host.port });
  const answer = await world.ask(host.port, { path: '/user?x=1', headers: { accept: 'text/plain', 'x-own': '1' } });
  expect(answer).toMatchObject({ status: 200, body: 'hello' });
  expect(host.asked).toMatchObject([
    {
      method: 'GET',
      url: '/user?x=1',
      headers: { authorization: `Bearer ${token}`, 'x-own': '1', host: `${hostName}:${host.port}` },
    },
  ]);
  expect(await world.egress.recorded()).toMatchObject({
    host: hostName,
    outcome: 'closed',
    rule: 'of the test',
    secretId,
  });
});
