import { byteStreamContract, diskContract, sandboxProviderContract } from '../contracts/sandbox-provider.ts';
import { openDocker } from './docker/docker-subject.ts';

sandboxProviderContract('the Docker provider', openDocker);
sandboxProviderContract('the Docker provider, by pipes', () => openDocker({ pipesOnly: true }), [
  byteStreamContract,
  diskContract,
]);
