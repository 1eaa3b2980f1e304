import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Colours text for one stream: only on a terminal that has colours, and never against NO_COLOR. */
export type Style = (format: Format, text: string) => string;

export function styleFor(stream: NodeJS.WriteStream): Style {
  return (format, text) => (text === '' ? '' : styleText(format, text, { stream, validateStream: true }));
}

export const plain: Style = (_, text) => text;
