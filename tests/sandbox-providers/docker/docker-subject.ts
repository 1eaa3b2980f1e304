import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { newAgentId } from '../../../src/kernel/ids.ts';
import type { SandboxSpec } from '../../../src/sandbox-providers/contract/index.ts';
import { DockerProvider, type DockerProviderOptions } from '../../../src/sandbox-providers/docker/provider.ts';
import type { SandboxProviderSubject } from '../../contracts/sandbox-provider.ts';
import { execIn } from './exec-in.ts';
import { buildTestImages, type TestImages } from './test-images.ts';

export interface DockerSubject extends SandboxProviderSubject {
  readonly docker: Docker;
  readonly instance: string;
  readonly provider: DockerProvider;
  readonly images: TestImages & SandboxProviderSubject['images'];
  /** What any agent may have, in these tests. */
  newSpec(changes?: Partial<SandboxSpec>): SandboxSpec;
}

/** The Docker provider on the engine of this machine, as an installation of its own. */
export async function openDocker(options: Pick<DockerProviderOptions, 'pipesOnly'> = {}): Promise<DockerSubject> {
  const docker = new Docker();
  const instance = `test-${randomBytes(4).toString('hex')}`;
  const images = await buildTestImages(docker);
  const provider = new DockerProvider({ instance, ...options });
  return {
    docker,
    instance,
    provider,
    unreachable: new DockerProvider({ instance, engine: { socketPath: '/nonexistent/docker.sock' } }),
    images: { ...images, missing: 'caisson-test/no-such-image:1' },
    newSpec: (changes = {}) => ({
      agentId: newAgentId(),
      image: images.echo,
      limits: { cpus: 0.5, memoryBytes: 192 * 1024 ** 2, pids: 48 },
      environment: {},
      ...changes,
    }),
    async run(agentId, command) {
      const { code, stdout, stderr } = await execIn(docker, agentId, ['sh', '-c', command]);
      if (code !== 0) throw new Error(`${command}: exit code ${code}: ${stderr}`);
      return stdout;
    },
    async remains(agentId) {
      const containers = await docker.listContainers({ all: true, filters: { name: [agentId] } });
      const { Volumes: volumes } = await docker.listVolumes({ filters: { name: [agentId] } });
      return [...containers.flatMap((container) => container.Names), ...volumes.map((volume) => volume.Name)];
    },
    async processIds(agentId) {
      const { Processes: processes }: { Processes: string[][] } = await docker
        .getContainer(agentId)
        .top({ ps_args: '-eo pid' });
      return processes.map(([id]) => Number(id));
    },
    async kill(agentId) {
      await docker.getContainer(agentId).kill();
    },
    async [Symbol.asyncDispose]() {
      for (const sandbox of await provider.list()) await provider.destroy(sandbox.agentId);
      await provider[Symbol.asyncDispose]();
      await images[Symbol.asyncDispose]();
    },
  };
}
