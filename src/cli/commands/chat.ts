import { Command } from 'commander';
import { chooseConversation, type ConversationChoice } from '../choose-conversation.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { findAgent } from '../find-agent.ts';

export function chatCommand(): Command {
  return new Command('chat')
    .description(
      'Talk with an agent. Goes on with your most recent open conversation.\n' +
        'Ctrl-C cancels the turn, once more leaves without waiting; Ctrl-D leaves, and the turn goes on.\n' +
        'A line that ends with \\ goes on with the next; what is pasted at once is one message.',
    )
    .argument('<agent>', 'id or name')
    .option('--conversation <id>', 'go on with this one')
    .option('--new', 'begin a new one')
    .action(chat);
}

async function chat(nameOrId: string, choice: ConversationChoice): Promise<void> {
  const [client, { ChatSession }] = await Promise.all([connect(), import('../turn/chat-session.ts')]);
  const agent = await findAgent(client, nameOrId);
  const conversation = await chooseConversation(client, agent, choice);
  const { hasLeftTurn } = await new ChatSession({ client, agent, conversation }).run();
  if (hasLeftTurn) process.exit(exitCodes.ok); // a turn that is still being followed must not keep the process
}
