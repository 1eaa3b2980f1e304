export type {
  ProviderCapabilities,
  Sandbox,
  SandboxLimits,
  SandboxProvider,
  SandboxSpec,
  SandboxState,
  WireChannel,
} from './sandbox-provider.ts';
