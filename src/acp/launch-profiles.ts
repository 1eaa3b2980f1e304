import * as z from 'zod';
import { CaissonError } from '../kernel/errors.ts';
import { modelEndpoint } from '../wire/contract/guest-api.ts';
import type { UnnamedChunks } from './projection/session-projection.ts';
import type { SandboxModes } from './session-choices.ts';

/**
 * How a harness is started and how it differs from other ACP agents.
 *
 * To add a harness: 1. install its ACP program into the sandbox image; 2. add a row to `launchProfiles`; 3. run its
 * real traffic through the projection (`tests/acp/transcripts`) and say in the row what differs.
 */
export interface LaunchProfile {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Added to the environment that the guest gives. */
  readonly environment: (options: { readonly model: string | null }) => Readonly<Record<string, string>>;
  /**
   * The text blocks for a text that begins with "/": such a text is for the model, but harnesses take it for one of their
   * own commands.
   */
  readonly slashText: (text: string) => readonly string[];
  /** What agent text without a message id is. */
  readonly unnamedChunks: UnnamedChunks;
  /** Those of its modes that work in a sandbox; null: all of them. */
  readonly modes: SandboxModes | null;
}

/** For a harness that must not look for the world by itself. */
const withoutProxies = Object.fromEntries(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [
    [name, ''],
    [name.toLowerCase(), ''],
  ]),
);

const profileRows = {
  codex: {
    command: ['codex-acp'],
    environment: ({ model }) => ({
      NO_BROWSER: '1',
      // It would fetch plugins and news from hosts of its maker. Its commands have their proxies by its configuration.
      ...withoutProxies,
      // The model is told by configuration, so that names work that Codex's own list lacks.
      ...(model === null ? {} : { CODEX_CONFIG: JSON.stringify({ model }) }),
    }),
    // codex-acp looks for a command in the first block only, after trimming it. Codex hands each block to the model.
    slashText: (text) => [' ', text],
    // Warnings and errors of codex-acp; all that the model says has an id.
    unnamedChunks: 'notice',
    // The others put every command into a bubblewrap of Codex's own; `agent` also has a second model review each of them.
    modes: {
      names: {
        'permission-profile:sandboxed': 'Sandboxed: asks before what a rule names, and when Codex wants to',
        'agent-full-access': 'Full access to the sandbox: never asks',
      },
      barred: 'it puts every command into a sandbox of the harness’s own, which cannot be made in this one',
    },
  },
  claude: {
    command: ['claude-agent-acp'],
    environment: ({ model }) => ({
      ANTHROPIC_BASE_URL: `http://${modelEndpoint.host}:${modelEndpoint.port}`,
      // Claude Code wants some key; the real one is added by the model gateway, outside the sandbox.
      ANTHROPIC_API_KEY: 'caisson',
      ...(model === null ? {} : { ANTHROPIC_MODEL: model }),
    }),
    slashText: (text) => [` ${text}`],
    unnamedChunks: 'speech',
    modes: null,
  },
} as const satisfies Record<string, Omit<LaunchProfile, 'name'>>;

/** The names of the harnesses that can be asked for. */
export const harnessNames = Object.keys(profileRows);

/** A JSON array of strings that is started instead of the harness's own command, with its traits. For tests. */
export const harnessCommandVariable = 'CAISSON_HARNESS_COMMAND';

const commandSchema = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue('not JSON');
      return z.NEVER;
    }
  })
  .pipe(z.tuple([z.string().min(1)], z.string()));

/**
 * The launch profile of a harness by its name.
 *
 * @throws CONFIG_INVALID for an unknown name, or an override that is no JSON array of strings.
 */
export function launchProfile(name: string, environment: Readonly<Record<string, string | undefined>>): LaunchProfile {
  const override = environment[harnessCommandVariable];
  if (override !== undefined) {
    const command = commandSchema.safeParse(override);
    if (!command.success) {
      throw new CaissonError('CONFIG_INVALID', `${harnessCommandVariable} is not a JSON array of strings.`);
    }
    const traits = isHarnessName(name)
      ? profileRows[name]
      : { slashText: plain, unnamedChunks: 'speech' as const, modes: null };
    return { ...traits, name, command: command.data, environment: () => ({}) };
  }
  if (!isHarnessName(name)) {
    throw new CaissonError('CONFIG_INVALID', `There is no harness "${name}".`, {
      hint: `Choose one of: ${harnessNames.join(', ')}.`,
    });
  }
  return { name, ...profileRows[name] };
}

const plain = (text: string): string[] => [text];

function isHarnessName(name: string): name is keyof typeof profileRows {
  return Object.hasOwn(profileRows, name);
}
