import type { ContainerInfo, ContainerInspectInfo, VolumeInspectInfo } from 'dockerode';
import { type AgentId, agentIdSchema } from '../../kernel/ids.ts';
import type { Sandbox, SandboxEnd, SandboxState } from '../contract/sandbox-provider.ts';
import { label, type Labels } from './labels.ts';

/** The engine's words for a container's state, in ours. */
const states: Readonly<Record<string, SandboxState>> = {
  created: 'stopped',
  exited: 'stopped',
  running: 'running',
  restarting: 'running',
  paused: 'paused',
  removing: 'broken',
  dead: 'broken',
};

export function stateOf(engineState: string): SandboxState {
  return states[engineState] ?? 'broken';
}

export function sandboxFromInspect(agentId: AgentId, container: ContainerInspectInfo): Sandbox {
  return {
    agentId,
    state: stateOf(container.State.Status),
    ended: endOf(container.State),
    providerId: container.Id,
    image: container.Config.Labels[label.image] ?? '',
    createdAt: Date.parse(container.Created),
  };
}

/** Null for one that runs, or never ran. */
function endOf({ Status, ExitCode, OOMKilled }: ContainerInspectInfo['State']): SandboxEnd | null {
  return Status === 'exited' || Status === 'dead' ? { exitCode: ExitCode, outOfMemory: OOMKilled } : null;
}

/** Undefined when the label holds no agent id: then it is not one that we made. */
export function sandboxFromListing(container: ContainerInfo): Sandbox | undefined {
  const agentId = agentIdOf(container.Labels);
  return (
    agentId && {
      agentId,
      state: stateOf(container.State),
      ended: null,
      providerId: container.Id,
      image: container.Labels[label.image] ?? '',
      createdAt: container.Created * 1000,
    }
  );
}

/** A workspace whose container is gone: stopped, since a new container can be put around it. */
export function sandboxFromVolume(volume: VolumeInspectInfo & { readonly CreatedAt?: string }): Sandbox | undefined {
  const agentId = agentIdOf(volume.Labels);
  return (
    agentId && {
      agentId,
      state: 'stopped',
      ended: null,
      providerId: volume.Name,
      image: volume.Labels[label.image] ?? '',
      createdAt: Date.parse(volume.CreatedAt ?? '') || 0,
    }
  );
}

function agentIdOf(labels: Labels): AgentId | undefined {
  return agentIdSchema.safeParse(labels[label.agentId]).data;
}
