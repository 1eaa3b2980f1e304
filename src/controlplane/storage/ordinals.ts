import { type RawBuilder, sql } from 'kysely';

type OrderedTable =
  | 'agents'
  | 'conversations'
  | 'messages'
  | 'runs'
  | 'permissions'
  | 'api_keys'
  | 'previews'
  | 'egress_rules'
  | 'egress_log'
  | 'agent_shares'
  | 'secrets';

/** The next `ordinal` of a table, for a row that is being inserted. */
export function nextOrdinal(table: OrderedTable): RawBuilder<number> {
  return sql<number>`(select coalesce(max(ordinal), 0) + 1 from ${sql.table(table)})`;
}
