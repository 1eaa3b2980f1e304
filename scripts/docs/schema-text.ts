import type { z } from 'zod';

type JsonSchema = z.core.JSONSchema.JSONSchema;

const safeInteger = Number.MAX_SAFE_INTEGER;

/** A JSON schema in the words of TypeScript, e.g. `{ agentId: AgentId, limit?: 1–200 = 50 }`. What has a name is named. */
export function schemaText(schema: JsonSchema | boolean | undefined): string {
  if (typeof schema !== 'object') return 'any';
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(schemaText))].join(' | ');
  if (schema.allOf !== undefined) return schema.allOf.map(schemaText).join(' & ');
  const { type } = schema;
  if (Array.isArray(type)) return type.map((one) => schemaText({ ...schema, type: one })).join(' | ');
  switch (type) {
    case 'array':
      return `${grouped(schemaText(Array.isArray(schema.items) ? undefined : schema.items))}[]`;
    case 'object':
      return objectText(schema);
    case 'integer':
      return numberText(schema, 'integer');
    case 'number':
      return numberText(schema, 'number');
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    default:
      return 'any';
  }
}

/** Each field of an object as `name: type`, without those named in `without`. */
export function fieldTexts(schema: JsonSchema, without: readonly string[] = []): readonly string[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {})
    .filter(([name]) => !without.includes(name))
    .map(([name, field]) => {
      const preset = typeof field === 'object' ? field.default : undefined;
      const isOptional = preset !== undefined || !required.has(name);
      return `${name}${isOptional ? '?' : ''}: ${schemaText(field)}${preset === undefined ? '' : ` = ${JSON.stringify(preset)}`}`;
    });
}

function objectText(schema: JsonSchema): string {
  const { items, nextCursor } = schema.properties ?? {};
  if (nextCursor !== undefined && typeof items === 'object') return `Page<${schemaText(items).replace(/\[\]$/, '')}>`;
  return `{ ${fieldTexts(schema).join(', ')} }`;
}

function numberText({ minimum, maximum }: JsonSchema, type: string): string {
  const least = minimum === undefined || minimum === -safeInteger ? undefined : minimum.toLocaleString('en');
  const most = maximum === undefined || maximum === safeInteger ? undefined : maximum.toLocaleString('en');
  if (least !== undefined && most !== undefined) return `${least}–${most}`;
  if (least !== undefined) return `${type} ≥ ${least}`;
  return most === undefined ? type : `${type} ≤ ${most}`;
}

/** Schemas without a name of ours are those of any JSON value, which contain themselves. */
function nameOf(reference: string): string {
  const name = reference.split('/').at(-1) ?? reference;
  return name.startsWith('__schema') ? 'Json' : name;
}

function grouped(text: string): string {
  return text.includes(' | ') && !text.startsWith('{') ? `(${text})` : text;
}
