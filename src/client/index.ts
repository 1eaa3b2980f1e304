/** The typed client of a Caisson control plane, for Node 20 and later and for browsers. */
export { createCaissonClient, type CaissonClient } from './caisson-client.ts';
export type { EndpointOptions as CaissonClientOptions } from './endpoint.ts';
export type { SubscribeOptions } from './subscription.ts';
export { messageText, type FollowOptions, type SendOptions, type Turn } from './turn.ts';
export type {
  Agent,
  AgentEvent,
  AgentSnapshot,
  ApiInputs,
  ApiKey,
  ApiOutputs,
  AppRouter,
  ControlPlane,
  Conversation,
  ListeningPort,
  Message,
  Permission,
  Preview,
  Run,
} from './api.ts';
export { CaissonError, type ErrorBody } from '../kernel/errors.ts';
export type { ErrorCode } from '../kernel/error-table.ts';
