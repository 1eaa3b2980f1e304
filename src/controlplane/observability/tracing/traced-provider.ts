import { toCaissonError } from '../../../kernel/errors.ts';
import type { Sandbox, SandboxProvider, SandboxSpec } from '../../../sandbox-providers/contract/index.ts';
import { endSpan, type Spans } from './spans.ts';

/** The provider, with a span of each `ensureRunning`. All else is the provider's own. */
export function tracedProvider(provider: SandboxProvider, spans: Spans): SandboxProvider {
  const ensureRunning = async (spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> => {
    const span = spans.begin('sandbox.start', {
      attributes: {
        'gen_ai.agent.id': spec.agentId,
        'caisson.sandbox.provider': provider.name,
        'container.image.name': spec.image,
      },
    });
    try {
      const sandbox = await spans.within(span, async () => await provider.ensureRunning(spec, signal));
      span.setAttribute('container.id', sandbox.providerId);
      endSpan(span, null);
      return sandbox;
    } catch (thrown) {
      endSpan(span, toCaissonError(thrown).code);
      throw thrown;
    }
  };
  return new Proxy(provider, {
    get(target, name) {
      if (name === 'ensureRunning') return ensureRunning;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
