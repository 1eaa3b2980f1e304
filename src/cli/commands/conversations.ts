import { Command } from 'commander';
import { conversationsCloseCommand } from './conversations-close.ts';
import { conversationsConfigureCommand } from './conversations-configure.ts';
import { conversationsListCommand } from './conversations-list.ts';
import { conversationsOpenCommand } from './conversations-open.ts';
import { conversationsShowCommand } from './conversations-show.ts';

export function conversationsCommand(): Command {
  return new Command('conversations')
    .description(
      'Conversations: each is one continuous talk with an agent. It outlives clients, restarts and sandboxes.',
    )
    .addCommand(conversationsOpenCommand())
    .addCommand(conversationsListCommand())
    .addCommand(conversationsShowCommand())
    .addCommand(conversationsConfigureCommand())
    .addCommand(conversationsCloseCommand());
}
