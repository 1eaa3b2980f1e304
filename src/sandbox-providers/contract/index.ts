export type {
  ProviderCapabilities,
  Sandbox,
  SandboxEnd,
  SandboxLimits,
  SandboxProvider,
  SandboxSpec,
  SandboxState,
  WireChannel,
} from './sandbox-provider.ts';
