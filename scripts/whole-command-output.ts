/** Where the adapter tells of the end of a command: in `_meta`, with the output where none of it was streamed. */
const end = `    return {
      ...sendOutput ? this.outputChunk(terminalId, end.output, end.terminal) : {},
`;
/** The `_meta` key that src/acp/projection/updates.ts reads. */
const wholeOutput = `      ...end.streamed && end.output.length > 0 ? { caisson_whole_output: { data: end.output } } : {},
`;

/**
 * codex-acp's bundle with one line more: the end of a command whose output was streamed also brings the output as Codex has it
 * then. The live pieces lack what Codex dropped of them (docs/dependencies.md says what). Throws where the adapter is not as it
 * is known.
 */
export function withWholeCommandOutput(adapter: string): string {
  const [before, after, ...more] = adapter.split(end);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error('codex-acp tells the end of a command in another way: see scripts/whole-command-output.ts.');
  }
  return `${before}${end}${wholeOutput}${after}`;
}
