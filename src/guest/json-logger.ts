import type { LogFields, Logger } from '../kernel/logger.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** JSON, one object a line, on `write`. */
export function createJsonLogger(write: (line: string) => void): Logger {
  const log = (level: Level) => (fields: LogFields, message: string) => {
    write(`${JSON.stringify({ level, time: Date.now(), message, ...fields })}\n`);
  };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}
