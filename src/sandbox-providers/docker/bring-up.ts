import { randomUUID } from 'node:crypto';
import { setTimeout as pass } from 'node:timers/promises';
import type { ContainerInspectInfo } from 'dockerode';
import { CaissonError } from '../../kernel/errors.ts';
import type { Sandbox, SandboxSpec } from '../contract/sandbox-provider.ts';
import { containerOptions, specHash } from './container-options.ts';
import type { Engine } from './engine.ts';
import { EngineRefusal } from './engine-call.ts';
import { label } from './labels.ts';
import { sandboxFromInspect, stateOf } from './sandbox.ts';

/**
 * Another process may be creating the same sandbox: its name is taken before it can be seen. So long we look for it, in
 * milliseconds, and so far apart.
 */
const rivalry = { patienceMs: 30_000, intervalMs: 20 } as const;

/**
 * Finds, wakes, replaces or creates the agent's container until it runs and is made from `spec`. What this call made
 * is gone when it rejects. Aborts between requests, never within one that changes something.
 */
export async function bringUp(engine: Engine, spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
  const giveUpAt = performance.now() + rivalry.patienceMs;
  while (performance.now() < giveUpAt) {
    signal?.throwIfAborted();
    const found = await engine.inspect(spec.agentId);
    if (found) {
      if (!engine.owns(found)) throw foreign(spec, found);
      if (found.Config.Labels[label.spec] === specHash(spec) && (await wake(engine, spec, found))) {
        return await running(engine, spec);
      }
      await engine.removeContainer(spec.agentId);
      signal?.throwIfAborted();
    }
    const created = await create(engine, spec, signal);
    if (created) return created;
    await pass(rivalry.intervalMs);
  }
  throw new CaissonError('SANDBOX_START_FAILED', `The sandbox of ${spec.agentId} is being changed by somebody else.`);
}

/** Whether the container runs now. If not, it has to be replaced. */
async function wake(engine: Engine, spec: SandboxSpec, found: ContainerInspectInfo): Promise<boolean> {
  try {
    switch (stateOf(found.State.Status)) {
      case 'running':
        return true;
      case 'paused':
        await engine.resume(spec.agentId);
        return true;
      case 'stopped':
        await engine.start(spec.agentId);
        return true;
      case 'broken':
        return false;
    }
  } catch (thrown) {
    if (thrown instanceof EngineRefusal) return false; // it cannot be woken, or changed since we looked
    throw thrown;
  }
}

/** The new sandbox, running; undefined when another process was first. */
async function create(engine: Engine, spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox | undefined> {
  const creation = randomUUID();
  let made = false;
  try {
    await engine.create(containerOptions(spec, engine.instance, creation));
    made = true;
    signal?.throwIfAborted();
    await engine.start(spec.agentId);
    return await running(engine, spec);
  } catch (thrown) {
    if (!made && thrown instanceof EngineRefusal && thrown.status === 409) return undefined;
    await undo(engine, spec, creation, thrown);
    throw startFailure(spec, made, thrown);
  }
}

async function undo(engine: Engine, spec: SandboxSpec, creation: string, reason: unknown): Promise<void> {
  try {
    const found = await engine.inspectOwn(spec.agentId);
    if (found?.Config.Labels[label.creation] === creation) await engine.removeContainer(spec.agentId);
    await engine.removeVolumes(spec.agentId, creation);
  } catch (thrown) {
    throw new CaissonError(
      'PROVIDER_UNAVAILABLE',
      `What was made of the sandbox of ${spec.agentId} could not be removed.`,
      {
        cause: new AggregateError([reason, thrown]),
      },
    );
  }
}

/** The sandbox, which must run: a main process that ends at once is a failed start. */
async function running(engine: Engine, spec: SandboxSpec): Promise<Sandbox> {
  const found = await engine.inspectOwn(spec.agentId);
  const sandbox = found && sandboxFromInspect(spec.agentId, found);
  if (sandbox?.state === 'running') return sandbox;
  throw new CaissonError('SANDBOX_START_FAILED', `The sandbox of ${spec.agentId} ended as soon as it was started.`, {
    details: { exitCode: found?.State.ExitCode ?? null },
  });
}

function startFailure(spec: SandboxSpec, made: boolean, thrown: unknown): unknown {
  if (!(thrown instanceof EngineRefusal)) return thrown;
  if (!made && thrown.status === 404) {
    return new CaissonError('SANDBOX_IMAGE_MISSING', `The Docker engine has no image ${spec.image}.`, {
      cause: thrown,
    });
  }
  return new CaissonError('SANDBOX_START_FAILED', `Docker refused the sandbox of ${spec.agentId}: ${thrown.message}`, {
    cause: thrown,
    details: { status: thrown.status },
  });
}

function foreign(spec: SandboxSpec, found: ContainerInspectInfo): CaissonError {
  const owner = found.Config.Labels[label.instance];
  const whose = owner === undefined ? 'is not one of Caisson' : `belongs to the installation "${owner}"`;
  return new CaissonError('SANDBOX_START_FAILED', `There is a container ${spec.agentId} already, which ${whose}.`, {
    hint: 'Start the control plane with the instance name that it had, or remove the container.',
  });
}
