import { errorTable } from '../../src/kernel/error-table.ts';
import { code, table } from './markdown.ts';

export function errorsTable(): string {
  const rows = Object.entries(errorTable).map(([name, { http, retryable, hint }]) => [
    code(name),
    String(http),
    retryable ? 'yes' : '',
    hint,
  ]);
  return table(['code', 'HTTP', 'retry', 'hint'], rows);
}
