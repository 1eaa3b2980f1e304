import type { SandboxProvider } from './contract/sandbox-provider.ts';

/** What every provider is given. Credentials and addresses of a vendor are read in the vendor's folder. */
export interface ProviderConfig {
  /** Name of this installation: what carries another name is somebody else's. */
  readonly instance: string;
}

/**
 * The providers by name, each loaded only when it is chosen. To add one:
 * 1. a folder beside `docker/` whose class implements `SandboxProvider`, with the same file names where they fit;
 * 2. one line here;
 * 3. one test file that runs `tests/contracts/sandbox-provider.ts` over it.
 */
const providers = {
  docker: async (config) => new (await import('./docker/provider.ts')).DockerProvider(config),
} as const satisfies Record<string, (config: ProviderConfig) => Promise<SandboxProvider>>;

export type ProviderName = keyof typeof providers;

/** The names that the configuration can choose from. */
export const providerNames: readonly string[] = Object.keys(providers);

export function isProviderName(name: string): name is ProviderName {
  return Object.hasOwn(providers, name);
}

/** Opens a provider. It has not spoken to its engine yet: see `check`. Rejects with CONFIG_INVALID. */
export function openProvider(name: ProviderName, config: ProviderConfig): Promise<SandboxProvider> {
  return providers[name](config);
}
