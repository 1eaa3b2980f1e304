import { z } from 'zod';
import { concealedSettings, settingsSchema, variablesReadElsewhere } from './settings.ts';

/** docs/configuration.md, made from the schema. Its test compares the file, and writes it with `--update`. */
export function describeConfig(): string {
  const defaults = z.toJSONSchema(settingsSchema, { io: 'input' }).properties ?? {};
  const rows = Object.entries(settingsSchema.shape).map(([name, field]) => {
    const { default: preset } = z.object({ default: z.string().optional() }).parse(defaults[name]);
    return row([`\`${name}\``, preset === undefined ? '' : `\`${preset}\``, allowedBy(field), field.description ?? '']);
  });
  return [
    '# Configuration',
    '',
    'The control plane is configured by environment variables and by nothing else. A value that is not allowed stops the',
    'start with a sentence that names it; so does an unknown variable that starts with `CAISSON_`. An empty variable counts',
    'as unset. This page is made from the schema in `src/controlplane/config/settings.ts`.',
    '',
    row(['variable', 'default', 'allowed', 'what it does']),
    row(['---', '---', '---', '---']),
    ...rows,
    '',
    `No message or log shows the value of ${[...concealedSettings].map((name) => `\`${name}\``).join(', ')}.`,
    '',
    'Other parts of Caisson read these:',
    '',
    row(['variable', 'what it does']),
    row(['---', '---']),
    ...Object.entries(variablesReadElsewhere).map(([name, text]) => row([`\`${name}\``, text])),
    '',
  ].join('\n');
}

/** What a setting tells about a value that it refuses. No setting takes a NUL. */
function allowedBy(field: z.ZodType): string {
  const refused = field.safeParse('\0');
  if (refused.success) throw new Error('A setting takes every text, so it cannot say what is allowed.');
  return refused.error.issues[0]?.message ?? '';
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
