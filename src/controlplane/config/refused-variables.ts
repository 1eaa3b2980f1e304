import { nearestName } from './nearest-name.ts';
import { concealedSettings, settingsSchema, variablesReadElsewhere } from './settings.ts';

type Given = Readonly<Record<string, string>>;

/** One sentence for each: a misspelt variable would otherwise be a setting that silently does nothing. */
export function unknownNames(given: Given): string[] {
  const known: readonly string[] = [...Object.keys(settingsSchema.shape), ...Object.keys(variablesReadElsewhere)];
  return Object.keys(given)
    .filter((name) => name.startsWith('CAISSON_') && !known.includes(name))
    .map((name) => {
      const nearest = nearestName(name, known);
      return `${name} is not a setting.${nearest === undefined ? '' : ` Did you mean ${nearest}?`}`;
    });
}

/** A sentence that names the variable, its value, unless it is concealed, and what is allowed. */
export function refusedValue(name: string, given: Given, allowed: string): string {
  if (concealedSettings.has(name)) return `${name} (its value is not shown) must be ${allowed}.`;
  const value = given[name] ?? '';
  return `${name}=${JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)} must be ${allowed}.`;
}
