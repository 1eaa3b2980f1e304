import Docker from 'dockerode';
import { expect, test } from 'vitest';
import { ensureSandboxImage } from '../../../scripts/sandbox-image.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { guestEnvironment } from '../../../src/wire/contract/guest-api.ts';
import { execIn } from './exec-in.ts';

// V8 takes a cache only from a Node of the same version, started with the same options: where they differ, each start is slow again.
test('guest and adapter take the code that was compiled when the image was built', async () => {
  const docker = new Docker();
  const { image } = await ensureSandboxImage({ docker, log: (line) => console.log(line) });
  const container = await docker.createContainer({
    Image: image,
    Env: [`${guestEnvironment.agentId}=${newAgentId()}`],
    HostConfig: { NetworkMode: 'none', Init: true },
  });
  try {
    await container.start();
    const caches = await execIn(docker, container.id, ['sh', '-c', 'find /opt/caisson -name "*.cjs.code" | sort']);
    expect(caches.stdout).toBe(
      '/opt/caisson/guest.cjs.code\n/opt/caisson/harness/node_modules/@agentclientprotocol/codex-acp/dist/index.cjs.code\n',
    );
    const adapter = await execIn(docker, container.id, ['sh', '-c', ': | codex-acp']);
    expect(adapter).toMatchObject({ code: 0, stderr: '' });
    await container.stop();
    const said = (await container.logs({ stdout: true, stderr: true })).toString();
    expect(said).toContain('the guest is up');
    expect(said).not.toContain('code cache');
  } finally {
    await container.remove({ force: true, v: true });
  }
}, 300_000);
