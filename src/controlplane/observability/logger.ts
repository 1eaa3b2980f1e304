import { pino, type DestinationStream } from 'pino';
import type { Logger } from '../../kernel/logger.ts';
import type { LogLevel } from '../config.ts';

interface LoggerOptions {
  readonly level: LogLevel;
  readonly destination: DestinationStream;
}

/** Fields whose value is never written, at the top and one level below. */
const secretFields = ['authorization', 'apiKey', 'secret', 'cookie', 'password', 'token'];

/** Log lines as JSON, one object a line: `level` by name, `time` as ISO 8601, an error under `err` with its causes. */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '[hidden]' },
    },
    destination,
  );
}
