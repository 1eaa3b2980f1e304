/** The tRPC code that an error travels under; the HTTP status is the one tRPC gives to it. */
type TrpcCode =
  | 'BAD_REQUEST'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'PRECONDITION_FAILED'
  | 'PAYLOAD_TOO_LARGE'
  | 'TOO_MANY_REQUESTS'
  | 'TIMEOUT'
  | 'CLIENT_CLOSED_REQUEST'
  | 'INTERNAL_SERVER_ERROR'
  | 'BAD_GATEWAY'
  | 'SERVICE_UNAVAILABLE';

interface ErrorRow {
  readonly trpc: TrpcCode;
  readonly http: number;
  /** Whether the same call may succeed later without anything being changed by the caller. */
  readonly retryable: boolean;
  /** What the caller can do, when the place that throws knows nothing better. */
  readonly hint: string;
}

/** Every error code of the house, in one place. A code that is not here does not compile. */
export const errorTable = {
  // The request itself
  BAD_REQUEST: { trpc: 'BAD_REQUEST', http: 400, retryable: false, hint: 'Check the input against the API guide.' },
  MESSAGE_EMPTY: { trpc: 'BAD_REQUEST', http: 400, retryable: false, hint: 'Send a message with some text in it.' },
  MESSAGE_TOO_LARGE: {
    trpc: 'PAYLOAD_TOO_LARGE',
    http: 413,
    retryable: false,
    hint: 'Shorten the message, or put the text into a file of the workspace.',
  },
  BODY_TOO_LARGE: { trpc: 'PAYLOAD_TOO_LARGE', http: 413, retryable: false, hint: 'Send a smaller request body.' },
  CONFIG_INVALID: { trpc: 'BAD_REQUEST', http: 400, retryable: false, hint: 'Correct the setting that is named.' },
  // Who is asking
  UNAUTHORIZED: {
    trpc: 'UNAUTHORIZED',
    http: 401,
    retryable: false,
    hint: 'Send a valid API key as `Authorization: Bearer <key>`.',
  },
  FORBIDDEN: { trpc: 'FORBIDDEN', http: 403, retryable: false, hint: 'Ask an administrator.' },
  ACCESS_CHANGED: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: true,
    hint: 'Ask again: what you may still do is answered.',
  },
  LAST_ADMIN_KEY: { trpc: 'PRECONDITION_FAILED', http: 412, retryable: false, hint: 'Create another admin key first.' },
  AUDIT_BROKEN: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Keep the database as it is, and compare it with an export or a backup.',
  },
  AUDIT_UNAVAILABLE: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'Nothing was done, for what is done has to be on record. Try again; if it stays, check the disk of the data directory.',
  },
  USER_DISABLED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'Enable the user first: `caisson users enable <user>`.',
  },
  USER_HAS_AGENTS: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'Delete the agents first, or ask for them to be deleted with the user.',
  },
  INVITATION_INVALID: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'An invitation works once, until it expires. Ask an administrator for a new one.',
  },
  LOGIN_UNAVAILABLE: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'Try again in a minute. The log of the control plane says what the identity provider answered.',
  },
  // Things that are not there, or not the caller's
  AGENT_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List your agents with `caisson agents list`.',
  },
  CONVERSATION_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List them with `caisson conversations list <agent>`.',
  },
  RUN_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List them with `caisson runs list <agent>`.',
  },
  PERMISSION_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List the open ones with `caisson permissions list`.',
  },
  KEY_NOT_FOUND: { trpc: 'NOT_FOUND', http: 404, retryable: false, hint: 'List them with `caisson keys list`.' },
  // Files
  FILE_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'Look at what the folder holds.',
  },
  FILE_EXISTS: { trpc: 'CONFLICT', http: 409, retryable: false, hint: 'Choose another name, or ask to overwrite.' },
  FILE_CHANGED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'Somebody else has changed the file. Read it again, and write with its new ETag.',
  },
  NOT_A_DIRECTORY: { trpc: 'BAD_REQUEST', http: 400, retryable: false, hint: 'Name a folder.' },
  IS_A_DIRECTORY: { trpc: 'BAD_REQUEST', http: 400, retryable: false, hint: 'Name a file, not a folder.' },
  DIRECTORY_NOT_EMPTY: { trpc: 'CONFLICT', http: 409, retryable: false, hint: 'Ask for it with all that is in it.' },
  NOT_A_REGULAR_FILE: {
    trpc: 'BAD_REQUEST',
    http: 400,
    retryable: false,
    hint: 'Devices, pipes and sockets are not read or written through files.',
  },
  PATH_FORBIDDEN: {
    trpc: 'FORBIDDEN',
    http: 403,
    retryable: false,
    hint: 'Use a path under /workspace, /home/agent or /tmp, without symbolic links that lead out.',
  },
  FILE_ACCESS_DENIED: { trpc: 'FORBIDDEN', http: 403, retryable: false, hint: 'Check its mode in the sandbox.' },
  DISK_FULL: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 507,
    retryable: false,
    hint: 'Delete what is not needed on the same file system: /tmp is one of its own, in memory.',
  },
  RANGE_NOT_SATISFIABLE: {
    trpc: 'BAD_REQUEST',
    http: 416,
    retryable: false,
    hint: 'The range begins after the end. Ask for the size first.',
  },
  SEARCH_FAILED: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: false,
    hint: 'Search again, or in a smaller folder.',
  },
  TRANSFER_BROKEN: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: true,
    hint: 'Try again. A download of a file can go on where it broke off: give `start`, and its ETag as `ifMatch`.',
  },
  // Processes
  PROCESS_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List them with `caisson ps <agent>`. A sandbox that was started anew has none of its earlier processes.',
  },
  PROCESS_NOT_STARTED: {
    trpc: 'BAD_REQUEST',
    http: 400,
    retryable: false,
    hint: 'Check the program, its arguments and its permissions in the sandbox. Shell text needs a shell: `bash -c "…"`.',
  },
  PROCESS_ENDED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'The process has ended. `caisson ps <agent>` tells how.',
  },
  INPUT_CLOSED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'Start the process with its input open, and write before you end it.',
  },
  INPUT_FULL: {
    trpc: 'TOO_MANY_REQUESTS',
    http: 429,
    retryable: true,
    hint: 'The process does not read what was written to it before. Write less, or later.',
  },
  // Changes and checkpoints
  CHECKPOINT_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List them with `caisson checkpoints <agent>`.',
  },
  NO_REPOSITORY: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'Ask for the changes since a run instead.',
  },
  RUN_UNDER_WAY: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Wait for the run to end, cancel it, or force it.',
  },
  GIT_FAILED: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: false,
    hint: 'Try again when nothing writes to the workspace.',
  },
  // Terminals
  TERMINAL_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'It was closed, or its sandbox was started again. List them with `caisson shell <agent> --list`.',
  },
  TERMINAL_NOT_DRIVING: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Only the driver of a terminal types and resizes. Take control of it first.',
  },
  // Ports and previews
  PORT_NOT_LISTENING: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: true,
    hint: 'Start the server in the sandbox. `caisson ports <agent>` lists the ports that listen.',
  },
  PREVIEW_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List them with `caisson preview <agent> --list`.',
  },
  PREVIEW_FORBIDDEN: {
    trpc: 'FORBIDDEN',
    http: 403,
    retryable: false,
    hint: 'Open a preview link of this address. `caisson preview <agent> <port>` makes one.',
  },
  PREVIEW_ENDED: {
    trpc: 'PRECONDITION_FAILED',
    http: 410,
    retryable: false,
    hint: 'Ask for a new link. `caisson preview <agent> <port>` makes one.',
  },
  USER_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'Check the name: `caisson users list` shows administrators who there is.',
  },
  PLAN_NOT_FOUND: { trpc: 'NOT_FOUND', http: 404, retryable: false, hint: 'List them with `caisson quotas plans`.' },
  // State that does not allow it
  PLAN_IN_USE: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Give its users another plan first: `caisson quotas set <user> --plan <plan>`.',
  },
  NAME_TAKEN: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Choose another name, or use the agent that has it.',
  },
  AGENT_DELETING: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'The agent is being deleted. Create a new one.',
  },
  CONVERSATION_CLOSED: { trpc: 'PRECONDITION_FAILED', http: 412, retryable: false, hint: 'Open a new conversation.' },
  IDEMPOTENCY_CONFLICT: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Use a new idempotency key for a new message.',
  },
  RUN_ENDED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'The run has ended; nothing is left to cancel.',
  },
  PERMISSION_NOT_PENDING: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'The request was already answered or has expired.',
  },
  CURSOR_EXPIRED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'Read `agents.status` for the present state, and subscribe after its `seq`.',
  },
  CURSOR_AHEAD: {
    trpc: 'BAD_REQUEST',
    http: 400,
    retryable: false,
    hint: 'The cursor lies after the last that there is. Use one that you received from here.',
  },
  CAPABILITY_UNSUPPORTED: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'This provider or harness cannot do that.',
  },
  // Limits
  QUEUE_FULL: {
    trpc: 'TOO_MANY_REQUESTS',
    http: 429,
    retryable: true,
    hint: 'Wait for a run of this conversation to end, or cancel one.',
  },
  TOO_MANY_CONNECTIONS: {
    trpc: 'TOO_MANY_REQUESTS',
    http: 429,
    retryable: true,
    hint: 'Close one that you no longer need, or wait for one to end.',
  },
  LIMIT_REACHED: {
    trpc: 'TOO_MANY_REQUESTS',
    http: 429,
    retryable: false,
    hint: 'Delete what you no longer need, or ask an administrator for a higher limit.',
  },
  QUOTA_EXCEEDED: {
    trpc: 'TOO_MANY_REQUESTS',
    http: 429,
    retryable: false,
    hint: 'See `caisson quotas show`. An administrator can give more.',
  },
  QUOTA_CONFLICT: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Somebody else has changed it. Read it again, and change it as of its present version.',
  },
  RATE_LIMITED: {
    trpc: 'TOO_MANY_REQUESTS',
    http: 429,
    retryable: true,
    hint: 'Send fewer requests; the answer says how long to wait.',
  },
  // The way out of a sandbox
  EGRESS_DENIED: {
    trpc: 'FORBIDDEN',
    http: 403,
    retryable: false,
    hint: 'The rules of this sandbox do not allow this host and port. Ask whoever runs it to allow them.',
  },
  EGRESS_REFUSED: {
    trpc: 'FORBIDDEN',
    http: 403,
    retryable: false,
    hint: 'No rule can allow this: connect to a public host, and name that same host in TLS and HTTP.',
  },
  EGRESS_UNREACHABLE: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: true,
    hint: 'Check the name and the port, and whether the host is up.',
  },
  EGRESS_POLICY_CHANGED: {
    trpc: 'CONFLICT',
    http: 409,
    retryable: false,
    hint: 'Somebody else has changed the policy. Read it again, and repeat the change where it still fits.',
  },
  EGRESS_REQUEST_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'It was answered, or its time is over. List what waits with `caisson egress pending`.',
  },
  SECRET_NOT_FOUND: {
    trpc: 'NOT_FOUND',
    http: 404,
    retryable: false,
    hint: 'List them with `caisson secrets list`.',
  },
  SECRET_UNREADABLE: {
    trpc: 'PRECONDITION_FAILED',
    http: 412,
    retryable: false,
    hint: 'The key that it was stored under is gone: bring `secrets.key` back, or set the secret again.',
  },
  // The machinery
  STORAGE_UNAVAILABLE: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'Check the disk of the data directory.',
  },
  PROVIDER_UNAVAILABLE: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: "Run `caisson doctor` on the control plane's machine.",
  },
  HOST_DISK_FULL: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'An administrator makes room on the machine, or lowers `CAISSON_DISK_RESERVE`. `caisson admin overview` shows what is left.',
  },
  SANDBOX_IMAGE_MISSING: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: false,
    hint: 'Build the sandbox image with `npm run setup`.',
  },
  SANDBOX_START_FAILED: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: "Look at the agent's events and at the control plane's log.",
  },
  SANDBOX_NOT_RUNNING: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'Send a message: it starts the sandbox.',
  },
  WIRE_LOST: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'The connection to the sandbox broke; it is being restored.',
  },
  GUEST_PROTOCOL: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: false,
    hint: "The guest answered outside the contract. Restart the agent's sandbox.",
  },
  STALE_LEASE: { trpc: 'CONFLICT', http: 409, retryable: false, hint: 'Another control plane drives this agent now.' },
  HARNESS_FAILED: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: true,
    hint: "Send the message again; look at the agent's events for the harness's own words.",
  },
  MODEL_UNAVAILABLE: {
    trpc: 'BAD_GATEWAY',
    http: 502,
    retryable: true,
    hint: 'Check the model settings with `caisson doctor`.',
  },
  DRAINING: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'The control plane is shutting down. Try again in a moment.',
  },
  DEADLINE_EXCEEDED: { trpc: 'TIMEOUT', http: 408, retryable: true, hint: 'Try again, or allow more time.' },
  ABORTED: { trpc: 'CLIENT_CLOSED_REQUEST', http: 499, retryable: true, hint: 'The caller gave up waiting.' },
  CONTROL_PLANE_UNREACHABLE: {
    trpc: 'SERVICE_UNAVAILABLE',
    http: 503,
    retryable: true,
    hint: 'Start it with `npm start`, or set CAISSON_URL.',
  },
  INTERNAL: {
    trpc: 'INTERNAL_SERVER_ERROR',
    http: 500,
    retryable: false,
    hint: "This is a defect of Caisson. The control plane's log has the details.",
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

/** Whether `value` is a code of the table: for errors that arrive from another process. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorTable, value);
}
