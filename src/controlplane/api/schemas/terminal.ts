import {
  terminalSchema as schema,
  type TerminalDownMessage as GuestMessage,
  type TerminalUpMessage,
} from '../../../wire/contract/terminals.ts';
import type { AliveMessage } from './alive.ts';

/** As the guest tells it. */
export const terminalSchema = schema;

/** What goes over the WebSocket of a terminal as text (`src/wire/contract/terminals.ts`). Clients import the types. */
export type TerminalDownMessage = GuestMessage | AliveMessage;
export type { TerminalUpMessage };
