import { Command } from 'commander';

/** By name, in the order of the help; each imports its command when it is called. */
type Subcommands = Readonly<Record<string, () => Promise<Command>>>;

/**
 * What makes `caisson <name> …`. Of its commands the one that is asked for is imported alone, and the others are known by
 * their names only; all are where none of them is asked for, as for the help.
 */
export function commandGroup(
  name: string,
  description: string,
  subcommands: Subcommands,
): (asked?: string) => Promise<Command> {
  return async (asked) => {
    const isOne = asked !== undefined && Object.hasOwn(subcommands, asked);
    const group = new Command(name).description(description);
    for (const [each, load] of Object.entries(subcommands)) {
      group.addCommand(isOne && each !== asked ? new Command(each) : await load());
    }
    return group;
  };
}
