import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { LivePreview } from '../../../src/controlplane/previews/live-preview.ts';
import { LivePreviews } from '../../../src/controlplane/previews/live-previews.ts';
import { networkList } from '../../../src/controlplane/http/client-address.ts';
import { createPreviewGateway } from '../../../src/controlplane/previews/preview-gateway.ts';
import { PreviewHosts } from '../../../src/controlplane/previews/preview-hosts.ts';
import { CookieSigner, hashPreviewToken, newPreviewToken } from '../../../src/controlplane/previews/preview-secrets.ts';
import { PreviewService } from '../../../src/controlplane/previews/preview-service.ts';
import type { Preview } from '../../../src/controlplane/previews/preview.ts';
import { Access } from '../../../src/controlplane/auth/access.ts';
import type { Role } from '../../../src/controlplane/auth/identity.ts';
import type { Clock } from '../../../src/kernel/clock.ts';
import { newAgentId, newKeyId, newPreviewId, newUserId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { SteadyClock } from '../../../src/kernel/steady-clock.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';

const ownerId = newUserId();
const agent: Agent = {
  id: newAgentId(),
  name: 'worker',
  ownerId,
  harness: 'codex',
  model: null,
  provider: 'docker',
  limits: { cpus: 1, memoryBytes: 1, pids: 1 },
  createdAt: 0,
  deleting: false,
  sandbox: { state: 'starting' },
};

const previewOf = (clock: Pick<Clock, 'now'>, createdBy = ownerId): Preview => ({
  id: newPreviewId(),
  agentId: agent.id,
  port: 3000,
  access: 'shared',
  createdBy,
  keyId: newKeyId(),
  createdAt: clock.now(),
  expiresAt: clock.now() + 3_600_000,
  openedAt: null,
  revokedAt: null,
});

const liveOf = (preview: Preview): LivePreview =>
  new LivePreview({ preview, agent, checkedAt: 0, findGuest: () => Promise.resolve(undefined) });

describe('a preview that is ended while the store is asked about it', () => {
  test.each(['end', 'endKey'] as const)('by %s is not let in with what the store said before', async (how) => {
    const clock = new HandClock();
    const preview = previewOf(clock);
    const loaded = Promise.withResolvers<{ preview: Preview; agent: Agent }>();
    const previews = new LivePreviews({
      load: () => loaded.promise,
      findGuest: () => Promise.resolve(undefined),
      clock,
    });
    const finding = previews.find(preview.id);
    if (how === 'end') previews.end(preview.id);
    else previews.endKey(preview.keyId);
    loaded.resolve({ preview, agent });
    expect(await finding).toBeUndefined();
  });

  test('by what its maker may no longer do is not let in, nor what is open; one of somebody else is', async () => {
    const clock = new HandClock();
    const [maker, other] = [newUserId(), newUserId()];
    const [asked, open, others] = [previewOf(clock, maker), previewOf(clock, maker), previewOf(clock, other)];
    const gate = Promise.withResolvers<void>();
    const previews = new LivePreviews({
      load: async (id) => {
        if (id === asked.id) await gate.promise;
        return { preview: [asked, open, others].find((each) => each.id === id) ?? asked, agent };
      },
      findGuest: () => Promise.resolve(undefined),
      clock,
    });
    const cuts: string[] = [];
    (await previews.find(open.id))?.enter('request', () => cuts.push('of the maker'));
    (await previews.find(others.id))?.enter('request', () => cuts.push('of another'));
    const finding = previews.find(asked.id);
    previews.endOf({ userId: maker, agentId: agent.id });
    gate.resolve();
    expect(await finding).toBeUndefined();
    expect(cuts).toEqual(['of the maker']);
    previews.close();
  });

  test('keeps nobody else waiting, and the store is asked once for all who visit it', async () => {
    const clock = new HandClock();
    const [ended, live] = [previewOf(clock), previewOf(clock)];
    const asked: string[] = [];
    const answer = Promise.withResolvers<void>();
    const previews = new LivePreviews({
      load: async (id) => {
        asked.push(id);
        await answer.promise;
        return id === live.id ? { preview: live, agent } : undefined;
      },
      findGuest: () => Promise.resolve(undefined),
      clock,
    });
    const finding = previews.find(live.id);
    const visits = Promise.all(Array.from({ length: 10 }, () => previews.find(ended.id)));
    previews.end(ended.id);
    previews.endKey(ended.keyId);
    answer.resolve();
    expect(await visits).toEqual(Array(10).fill(undefined));
    expect((await finding)?.preview).toBe(live);
    await previews.find(ended.id);
    expect(asked).toEqual([live.id, ended.id, ended.id]);
  });

  test('by the end of the control plane is let in no more', async () => {
    const clock = new HandClock();
    const preview = previewOf(clock);
    const loaded = Promise.withResolvers<{ preview: Preview; agent: Agent }>();
    const previews = new LivePreviews({
      load: () => loaded.promise,
      findGuest: () => Promise.resolve(undefined),
      clock,
    });
    const finding = previews.find(preview.id);
    previews.close();
    loaded.resolve({ preview, agent });
    await expect(finding).rejects.toMatchObject({ code: 'DRAINING' });
  });
});

test.each(['GET', 'a WebSocket'])(
  'a preview that is ended just after %s was admitted serves it no more',
  async (kind) => {
    const live = liveOf(previewOf(new HandClock()));
    const gateway = createPreviewGateway({
      previews: {
        admit: () => {
          live.end();
          return Promise.resolve(live);
        },
        exchange: () => Promise.reject(new Error('nobody brings a link')),
      },
      hosts: new PreviewHosts({ domain: 'preview.localhost', publicUrl: null }),
      trustedProxies: networkList([]),
      ready: Promise.resolve(),
      logger: silentLogger,
    });
    const server = createServer((request, response) => gateway.handle(request, response));
    server.on('upgrade', (request, socket, head) => gateway.upgrade(request, socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const socket = connect(port, '127.0.0.1');
    const more = kind === 'GET' ? 'Connection: close\r\n' : 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    socket.write(`GET / HTTP/1.1\r\nHost: 3000-${agent.id}.preview.localhost\r\n${more}\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 410 [^]*PREVIEW_ENDED/);
    expect(live.isInUse).toBe(false);
    server.close();
  },
);

describe('one preview', () => {
  const nothing = (): void => undefined;

  test('has 512 visits under way at most, and a place that is given back twice is one place', () => {
    const live = liveOf(previewOf(new HandClock()));
    const visits = Array.from({ length: 512 }, () => live.enter('request', () => undefined));
    expect(() => live.enter('request', nothing)).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }) as Error);
    expect(() => live.enter('socket', nothing)).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }) as Error);
    visits[0]?.[Symbol.dispose]();
    visits[0]?.[Symbol.dispose]();
    live.enter('request', () => undefined);
    expect(() => live.enter('request', nothing)).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }) as Error);
  });

  test('has 48 WebSockets open at most, beside which requests go on', () => {
    const live = liveOf(previewOf(new HandClock()));
    const visits = Array.from({ length: 48 }, () => live.enter('socket', () => undefined));
    expect(() => live.enter('socket', nothing)).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }) as Error);
    live.enter('request', () => undefined);
    visits[0]?.[Symbol.dispose]();
    visits[0]?.[Symbol.dispose]();
    live.enter('socket', () => undefined);
    expect(() => live.enter('socket', nothing)).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }) as Error);
  });
});

describe('who made a preview', () => {
  /** What a visitor with a link and with a cookie gets, when its maker is this user now. */
  async function opened(
    maker: { readonly isOwner: boolean; readonly role: Role; readonly isKeyOver?: boolean },
    meanwhile: (clock: SteeredClock) => void = () => undefined,
  ) {
    const clock = new SteeredClock();
    const userId = maker.isOwner ? ownerId : newUserId();
    const preview = previewOf(clock, userId);
    const token = newPreviewToken();
    const cookies = new CookieSigner(Buffer.alloc(32, 1));
    const unused = (): Promise<never> => Promise.reject(new Error('not called here'));
    const previews = new PreviewService({
      store: {
        insertPreview: unused,
        findPreview: (id) => Promise.resolve(id === preview.id ? preview : undefined),
        findPreviewByToken: (hash) => Promise.resolve(hash === hashPreviewToken(token) ? preview : undefined),
        listPreviews: unused,
        markPreviewOpened: () => Promise.resolve(true),
        revokePreview: unused,
        revokePreviewsOfKey: unused,
      },
      agents: { findAgent: () => Promise.resolve(agent) },
      access: new Access({
        agents: { findAgent: unused, findConversation: unused, findRun: unused, findPermission: unused },
        identities: { findUser: unused, liveRole: () => Promise.resolve(maker.role) },
        shares: { findShare: () => Promise.resolve(undefined) },
        clock,
      }),
      keys: { onEnded: () => () => undefined, isLive: async () => !maker.isKeyOver },
      sharing: { onNarrowed: () => () => undefined },
      guests: { findClient: () => Promise.resolve(undefined) },
      hosts: new PreviewHosts({ domain: 'preview.localhost', publicUrl: null }),
      cookies,
      maxTtlMs: 3_600_000,
      clock: new SteadyClock(clock),
      logger: silentLogger,
    });
    meanwhile(clock);
    const outcome = async (promise: Promise<unknown>): Promise<string> =>
      await promise.then(
        () => 'let in',
        ({ code }: { code: string }) => code,
      );
    return [
      await outcome(previews.exchange(token, preview)),
      await outcome(previews.admit([cookies.sign(preview)], preview)),
    ];
  }

  test.each([
    ['the owner of the agent', { isOwner: true, role: 'member' }, 'let in'],
    ['an administrator', { isOwner: false, role: 'admin' }, 'let in'],
    ['a member who is not the owner', { isOwner: false, role: 'member' }, 'PREVIEW_ENDED'],
    ['the owner, with a key that is over', { isOwner: true, role: 'member', isKeyOver: true }, 'PREVIEW_ENDED'],
    ['an administrator, with a key that is over', { isOwner: false, role: 'admin', isKeyOver: true }, 'PREVIEW_ENDED'],
  ] as const)('counts when it is used: %s', async (_who, maker, outcome) => {
    expect(await opened(maker)).toEqual([outcome, outcome]);
  });

  test('has no say once it is over, also while the wall clock is set back for a moment', async () => {
    const outcomes = await opened({ isOwner: true, role: 'member' }, (clock) => {
      clock.advance(3_600_000);
      clock.jump(-3_600_000);
    });
    expect(outcomes).toEqual(['PREVIEW_ENDED', 'PREVIEW_ENDED']);
  });
});
