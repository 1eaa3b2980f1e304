/**
 * What the fields of a journal entry may hold: texts in UTF-16 code units, lists in items. The guest cuts what its harness
 * says to fit (see `src/guest/fitting`); texts and lists that have no bound here are bounded by the line alone.
 */
export const journalBounds = {
  /** Ids that the harness made up: of sessions, tool calls, options. */
  id: 500,
  /** Names, kinds, versions and the like. */
  word: 200,
  /** Of a tool call: a command may be one. */
  title: 4_000,
  /** As Linux has it. */
  path: 4_096,
  /** Why a turn ended. */
  message: 8_000,
  stderr: 8_192,
  /** Blocks of a message or of a tool call. */
  blocks: 500,
  locations: 1_000,
  options: 20,
  optionName: 500,
  planEntries: 500,
  planText: 4_000,
} as const;

/** Permission requests of one agent that may wait for an answer at the same time. */
export const mostPendingPermissions = 100;

/**
 * What an agent may say after the beginning of a run, or a person's answer to a permission request, in all of its conversations: bytes of
 * JSON of messages and permission requests, which are kept for ever. A model that never pauses takes more than a day for it.
 */
export const mostSaidBytes = 64 * 1024 * 1024;

/** The last moment that JavaScript, and so every client, has a date for. Milliseconds since the epoch. */
export const lastMoment = 8_640_000_000_000_000;

/** What a line may look like, before anything in it is understood: some more than what its fields allow for. */
export const journalLineShape = { marks: 50_000, depth: 80 } as const;
