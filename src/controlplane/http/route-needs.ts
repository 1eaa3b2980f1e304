import type { Need } from '../auth/needs.ts';

/** What each route of the API beside tRPC needs. `WS`: a WebSocket. */
export const routeNeeds = {
  'GET /metrics': 'oversee',
  'GET /v1/agents/:agentId/file': 'view',
  'HEAD /v1/agents/:agentId/file': 'view',
  'PUT /v1/agents/:agentId/file': 'use',
  'GET /v1/agents/:agentId/archive': 'view',
  'PUT /v1/agents/:agentId/archive': 'use',
  'GET /v1/audit/export': 'oversee',
  'WS /v1/agents/:agentId/processes/attach': 'use',
  /** Who may only view it observes: it neither types nor resizes, and cannot take the seat. */
  'WS /v1/agents/:agentId/terminals/:terminalId': 'view',
  'WS /v1/agents/:agentId/ports/:port/connect': 'use',
} as const satisfies Record<string, Need>;

/** Of an HTTP request; undefined for a route that is not in the table. */
export function needOfRoute(method: string, pattern: string | undefined): Need | undefined {
  return new Map<string, Need>(Object.entries(routeNeeds)).get(`${method} ${pattern ?? ''}`);
}
