export { diskSpaceAt } from './disk-space.ts';
export type {
  DiskSpace,
  DiskUse,
  ProviderCapabilities,
  Sandbox,
  SandboxEnd,
  SandboxLimits,
  SandboxLoad,
  SandboxProvider,
  SandboxSpec,
  SandboxState,
  StopOptions,
  WireChannel,
} from './sandbox-provider.ts';
