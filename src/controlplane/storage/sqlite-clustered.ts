import { sql } from 'kysely';

/**
 * For `modifyEnd` of a table: its rows lie in the order of its primary key, and nowhere else. Without it they lie in the order in which they
 * came, with an index beside them for the key, so that each row changes two pages or more. For tables whose rows come and go.
 */
export const clustered = sql`without rowid`;
