import { resolve } from 'node:path';
import { Command } from 'commander';
import type { ControlPlane } from '../../controlplane/index.ts';
import { commandName } from '../command-name.ts';
import { defaultDataDir, defaultUrl } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { collectGarbage, tuneGarbageCollection } from '../garbage-collection.ts';
import { stderr, stdout } from '../output/sink.ts';
import { record } from '../output/table.ts';
import { stopControlPlane } from '../stop-control-plane.ts';
import { packageVersion } from '../version.ts';

export function startCommand(): Command {
  return new Command('start')
    .description(
      'Start the control plane here and keep it running until SIGINT or SIGTERM; a second one ends it at once.\n' +
        'It is configured by environment variables: see docs/configuration.md.',
    )
    .action(start);
}

async function start(): Promise<void> {
  const { startControlPlane } = await import('../../controlplane/index.ts');
  const version = packageVersion();
  const stopped = untilSignal();
  const controlPlane = await startControlPlane({ environment: process.env, version });
  await stdout.write(summary(controlPlane, version));
  await collectGarbage();
  tuneGarbageCollection();
  const failure = await Promise.race([stopped, controlPlane.failed]);
  if (failure !== undefined) process.exitCode = exitCodes.failed;
  // Not waited for: where nothing can be written it stops all the same.
  stderr.write('Stopping. What runs in sandboxes goes on there.\n').catch(() => undefined);
  await stopControlPlane(controlPlane);
}

/** Resolves at the first signal. The second one ends the process at once. */
async function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(exitCodes.interrupted);
      isStopping = true;
      resolve();
    });
  }
  await promise;
}

function summary({ url, config, adminKey, provider }: ControlPlane, version: string): string {
  const { style, columns } = stdout;
  const entries: (readonly [string, string])[] = [
    ['url', style('bold', url)],
    ['admin key', adminKeyText(adminKey)],
    [
      'sandboxes',
      provider.available
        ? provider.description
        : style('red', `${provider.name} does not answer: ${provider.description}`),
    ],
    ['model', modelText(config.model)],
    ['data', config.dataDir],
  ];
  const shell = `${connectionSettings({ url, dataDir: config.dataDir })}${commandName()}`;
  return `Caisson ${version} is ready.

${indented(record(entries, style, columns && columns - 2))}
Next, in another shell:
  ${shell} agents create demo --wait
  ${shell} chat demo
`;
}

/** What has to be set to reach this control plane from another shell, where that is not the default. */
export function connectionSettings({ url, dataDir }: { readonly url: string; readonly dataDir: string }): string {
  const address = new URL(url).href === new URL(defaultUrl).href ? '' : `CAISSON_URL=${quoted(url)} `;
  return dataDir === resolve(defaultDataDir) ? address : `${address}CAISSON_DATA_DIR=${quoted(dataDir)} `;
}

/** As one word of a shell. */
function quoted(text: string): string {
  return /^[\w./:@%+=[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function adminKeyText(adminKey: ControlPlane['adminKey']): string {
  if (adminKey.state === 'unusable') return stdout.style('red', adminKey.problem);
  return `${adminKey.secret}  ${stdout.style('dim', `(${adminKey.state === 'created' ? 'new, ' : ''}kept in ${adminKey.file})`)}`;
}

function modelText({ name, demo, baseUrl }: ControlPlane['config']['model']): string {
  if (!demo) return `${name}  ${stdout.style('dim', `(${baseUrl ?? 'no address'})`)}`;
  return `${stdout.style('yellow', 'the demo model')}: no model key is set, so a script answers.\nSet OPENAI_API_KEY for a real one.`;
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}
