import type { Calls } from '../calls.ts';
import type { Endpoint } from '../endpoint.ts';
import { Attachment, type AttachTerminalOptions, type TerminalAttachment } from './terminal-attachment.ts';

/**
 * Attaches to a terminal. Resolves when it is attached; a connection that breaks afterwards is opened again after the last
 * byte that came. Rejects with TERMINAL_NOT_FOUND, AGENT_NOT_FOUND, CURSOR_AHEAD, LIMIT_REACHED (16 are attached), and what
 * keeps the control plane from being reached.
 */
export async function attachTerminal(
  endpoint: Endpoint,
  terminals: Pick<Calls['terminals'], 'get'>,
  options: AttachTerminalOptions,
): Promise<TerminalAttachment> {
  const { agentId, terminalId } = options;
  const check = (): Promise<unknown> => terminals.get.query({ agentId, terminalId });
  const attachment = new Attachment(options, { endpoint, check });
  await attachment.start();
  return attachment;
}
