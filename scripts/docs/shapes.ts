import { z } from 'zod';
import { eventSchema } from '../../src/agents/event.ts';
import { agentSchema } from '../../src/controlplane/api/schemas/agent.ts';
import { conversationSchema, messageSchema } from '../../src/controlplane/api/schemas/conversation.ts';
import { keySchema } from '../../src/controlplane/api/schemas/key.ts';
import { permissionSchema } from '../../src/controlplane/api/schemas/permission.ts';
import { shareSchema } from '../../src/controlplane/api/schemas/share.ts';
import { userSchema } from '../../src/controlplane/api/schemas/user.ts';
import {
  limitsChangeSchema,
  planSchema,
  quotaHolderSchema,
  statementSchema,
} from '../../src/controlplane/api/schemas/quota.ts';
import { runSchema, waitOutcomeSchema } from '../../src/controlplane/api/schemas/run.ts';
import * as ids from '../../src/kernel/ids.ts';
import {
  contentBlockSchema,
  permissionOptionSchema,
  permissionOutcomeSchema,
  toolContentSchema,
} from '../../src/wire/contract/harness-event.ts';
import { turnUsageSchema } from '../../src/wire/contract/turn.ts';
import { code, table } from './markdown.ts';
import { fieldTexts, schemaText } from './schema-text.ts';

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** What the tables name instead of spelling it out, in the order of the guide. */
const shapes = {
  Agent: agentSchema,
  Conversation: conversationSchema,
  Message: messageSchema,
  Run: runSchema,
  WaitOutcome: waitOutcomeSchema,
  Permission: permissionSchema,
  User: userSchema,
  Share: shareSchema,
  ApiKey: keySchema,
  QuotaStatement: statementSchema,
  QuotaPlan: planSchema,
  QuotaHolder: quotaHolderSchema,
  LimitsChange: limitsChangeSchema,
  ContentBlock: contentBlockSchema,
  ToolContent: toolContentSchema,
  PermissionOption: permissionOptionSchema,
  TurnUsage: turnUsageSchema,
} as const satisfies Record<string, z.ZodType>;

const idNames = {
  AgentId: ids.agentIdSchema,
  ConversationId: ids.conversationIdSchema,
  MessageId: ids.messageIdSchema,
  RunId: ids.runIdSchema,
  PermissionId: ids.permissionIdSchema,
  KeyId: ids.keyIdSchema,
  UserId: ids.userIdSchema,
  IncarnationId: ids.incarnationIdSchema,
} as const satisfies Record<string, z.ZodType>;

const names = z.registry<{ id: string }>();
const named = { ...shapes, ...idNames, Event: eventSchema, PermissionOutcome: permissionOutcomeSchema };
for (const [id, schema] of Object.entries(named)) names.add(schema, { id });

/** A schema as JSON schema, with references to what has a name. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  return z.toJSONSchema(schema, { io, metadata: names });
}

/** The shape of each named thing. One of several kinds is told apart by the field that they differ in. */
export function shapesTable(): string {
  const rows = Object.entries(shapes).map(([name, schema]) => {
    const definition = jsonSchema(schema, 'output').$defs?.[name] ?? jsonSchema(schema, 'output');
    return [code(name), linesOf(definition).map(code).join('<br>')];
  });
  return table(['name', 'fields'], rows);
}

/** The fields that every kind has on one line, then each kind's own on a line. */
function linesOf(definition: JsonSchema): string[] {
  const kinds = definition.oneOf ?? definition.anyOf;
  if (kinds === undefined) return [schemaText(definition)];
  const [first, ...rest] = kinds.map((kind) => fieldTexts(kind));
  const common = (first ?? []).filter((field) => rest.every((fields) => fields.includes(field)));
  const own = kinds.map((kind) => {
    const fields = fieldTexts(kind).filter((field) => !common.includes(field));
    return `| { ${fields.join(', ')} }`;
  });
  return common.length === 0 ? own : [`{ ${common.join(', ')} } & (`, ...own, ')'];
}
