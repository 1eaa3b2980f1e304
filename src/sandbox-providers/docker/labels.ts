import type { AgentId } from '../../kernel/ids.ts';

/** The labels that every container and volume of ours carries. Other tools may rely on these names. */
export const label = {
  managed: 'dev.caisson.managed',
  /** The installation that it belongs to. Several may share one engine. */
  instance: 'dev.caisson.instance',
  agentId: 'dev.caisson.agent-id',
  image: 'dev.caisson.image',
  /** Hash of everything that the container was made from; another hash means that it is outdated. */
  spec: 'dev.caisson.spec',
  /** Drawn anew for each creation, so that a failed one removes only what it made itself. */
  creation: 'dev.caisson.creation',
  /** Of a container that measures the disk of a sandbox: the installation that runs it. It carries none of the others. */
  measurer: 'dev.caisson.measurer',
} as const;

export type Labels = Readonly<Record<string, string>>;

export const workspaceVolume = (agentId: AgentId): string => `${agentId}-workspace`;
export const homeVolume = (agentId: AgentId): string => `${agentId}-home`;

/** The engine's filter for what belongs to `instance`, and to one agent when it is given. */
export function ownedBy(instance: string, agentId?: AgentId): { label: string[] } {
  return {
    label: [
      `${label.managed}=1`,
      `${label.instance}=${instance}`,
      ...(agentId === undefined ? [] : [`${label.agentId}=${agentId}`]),
    ],
  };
}

export function isOwnedBy(instance: string, labels: Labels): boolean {
  return labels[label.managed] === '1' && labels[label.instance] === instance;
}
