import type { ClientSessionOptions, ServerSessionOptions } from 'node:http2';
import { mostEgressConnections } from './contract/egress.ts';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/**
 * What the control plane may send on one stream before the guest has read it. HTTP/2's default of 64 KiB throttles: a stream
 * moves at most one window a round trip, and 4 MiB are 200 MB/s at 20 ms.
 */
const guestStreamWindowBytes = 4 * mebibyte;

/**
 * The same the other way. It is what a reader that stalls holds in the memory of the control plane, which has many: the 64
 * connections of a preview 64 MiB. 1 MiB is 50 MB/s at 20 ms, and beside the guest no less than 4 MiB.
 */
const clientStreamWindowBytes = mebibyte;

/**
 * The same for a whole session: what may lie between the ends. Node gives this window back on arrival, so the stream
 * windows are what bounds unread data. `Transport` relies on it.
 */
export const sessionWindowBytes = 4 * mebibyte;

/** Bound of one message's headers: nghttp2 accepts no single field above 64 KiB. */
const maxHeaderListBytes = 64 * kibibyte;

/** What one header may hold, so that it fits with the others. */
export const maxHeaderValueBytes = 60 * kibibyte;

/**
 * Node's own account of one session's memory, above which it refuses streams with ENHANCE_YOUR_CALM. Node 24.21 never gives
 * back what a stream still had to send when it was given up: at 64 MB, 190 downloads that were left in mid-stream ended a
 * session for good. So it is the most that Node can count to (bytes in 32 bits), and `openStream` gives a session up that
 * has come to it for a second. What is really held is bounded by streams and windows.
 */
const maxSessionMemoryMegabytes = 4_294;

/** Above this many fields a peer is not one of ours. */
const maxHeaderFields = 128;

export const clientSessionOptions = {
  settings: {
    enablePush: false,
    initialWindowSize: clientStreamWindowBytes,
    maxHeaderListSize: maxHeaderListBytes,
  },
  maxHeaderListPairs: maxHeaderFields,
  maxSessionMemory: maxSessionMemoryMegabytes,
  maxReservedRemoteStreams: 0,
} as const satisfies ClientSessionOptions;

/**
 * What Node counts of a peer that gives streams up, and of those that come before it has let go of them: by default a session ends
 * at 1,000 resets in a burst, refilled by 33 a second, at 100 refused streams in a row, and at 1,000 frames in its life that
 * are out of place. Programs that open and drop connections make all three, so none of them may end what others share.
 * Such a frame keeps nothing: streams and windows bound what is held, and the guest how fast streams are dropped
 * (`src/guest/places.ts`). nghttp2's own bound of frames out of place stays.
 */
const leniency = 1_000_000;

/**
 * Streams that a guest may give up: at once, and then in a second. Each takes the control plane some 0.1 ms, so one that is not ours
 * could keep it from all else. Ours makes 102 resets a second on a channel at the most.
 */
const resetsOfGuest = { streamResetBurst: 10_000, streamResetRate: 330 } as const;

const serverSessionOptions = (bounds: { readonly streams: number; readonly windowBytes: number }) =>
  ({
    settings: {
      initialWindowSize: bounds.windowBytes,
      maxConcurrentStreams: bounds.streams,
      maxHeaderListSize: maxHeaderListBytes,
    },
    maxHeaderListPairs: maxHeaderFields,
    maxSessionMemory: maxSessionMemoryMegabytes,
    streamResetBurst: leniency,
    streamResetRate: leniency,
    maxSessionRejectedStreams: leniency,
    maxSessionInvalidFrames: leniency,
  }) as const satisfies ServerSessionOptions;

/**
 * Concurrent requests of one session that the guest answers: more than one key may have under way (`server.ts`), and as many
 * again as may wait. `stream-places.ts` says who gets them.
 */
export const inwardStreams = 1_344;

export const inwardServerOptions = serverSessionOptions({
  streams: inwardStreams,
  windowBytes: guestStreamWindowBytes,
});

/**
 * The control plane answers a guest that it does not trust: streams times window, 64 MiB, is the most that a guest which
 * sends what nobody reads can make it hold.
 */
export const outwardServerOptions = {
  ...serverSessionOptions({ streams: 128, windowBytes: mebibyte / 2 }),
  ...resetsOfGuest,
} as const;

/**
 * Connections to the world have a session of their own, so that however many there are, and however slow, the model's
 * streams have their places and their window. The same 64 MiB, on more streams: 128 KiB are 100 MB/s up at 1 ms.
 */
export const egressServerOptions = {
  ...serverSessionOptions({ streams: mostEgressConnections, windowBytes: 128 * kibibyte }),
  ...resetsOfGuest,
} as const;

/** The guest's end of it: what programs that stall can make the guest hold is 128 MiB; 256 KiB are 12 MB/s at 20 ms. */
export const egressClientOptions = {
  ...clientSessionOptions,
  settings: { ...clientSessionOptions.settings, initialWindowSize: 256 * kibibyte },
} as const satisfies ClientSessionOptions;
