import { act, answer } from './step.ts';
import { outcome, type Plan } from './plan.ts';

/** A file name that no command takes for an option. */
export function fileName(said: string): string {
  return said.startsWith('-') ? `./${said}` : said;
}

/** Quotes a word for the shell where it needs it. */
export function shellWord(word: string): string {
  return /^[\w./@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The shell command that writes a text file, with its folders. */
export function writeFile(file: string, content: string): string {
  const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '';
  const makeFolder = folder === '' || folder === '.' ? '' : `mkdir -p ${shellWord(folder)} && `;
  return `${makeFolder}printf '%s\\n' ${shellWord(content)} > ${shellWord(file)}`;
}

interface Language {
  readonly runner: string;
  readonly greeting: string;
}

const GREETING = 'Hello from the demo model';

const languages: ReadonlyMap<string, Language> = new Map([
  ['py', { runner: 'python3', greeting: `print("${GREETING}")` }],
  ['js', { runner: 'node', greeting: `console.log("${GREETING}");` }],
  ['mjs', { runner: 'node', greeting: `console.log("${GREETING}");` }],
  ['ts', { runner: 'node', greeting: `console.log("${GREETING}");` }],
  ['sh', { runner: 'sh', greeting: `echo "${GREETING}"` }],
]);

/** A greeting that the file's language can run, or the plain sentence. */
export function greetingFor(file: string): string {
  return languageOf(file)?.greeting ?? `${GREETING}.`;
}

/** The program that runs or shows a file. */
export function runnerOf(file: string): string {
  return languageOf(file)?.runner ?? 'cat';
}

function languageOf(file: string): Language | undefined {
  return languages.get(file.slice(file.lastIndexOf('.') + 1));
}

/** Looks whether the file is there, then adds lines at its end with a patch that updates or creates it. */
export function patchFile(file: string, lines: string): Plan {
  return ([found, patched]) => {
    if (found === undefined) {
      return act({ kind: 'command', command: `test -e ${shellWord(file)}` }, `I look whether \`${file}\` is there.`);
    }
    if (patched === undefined) {
      const exists = found.exitCode === 0;
      const patch = [
        '*** Begin Patch',
        ...(exists ? [`*** Update File: ${file}`, '@@'] : [`*** Add File: ${file}`]),
        ...lines.split('\n').map((line) => `+${line}`),
        '*** End Patch',
      ].join('\n');
      return act({ kind: 'patch', patch }, exists ? 'It is. I patch it.' : 'It is not. I create it with a patch.');
    }
    return answer(patched.exitCode === 0 ? `\`${file}\` is patched.` : outcome('The patch', patched));
  };
}
