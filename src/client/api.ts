export type { AgentEvent } from '../agents/event.ts';
