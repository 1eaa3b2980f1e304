import * as z from 'zod';

// For each object schema zod would write a parser and have it compiled when it is first used: 8 ms of a new agent's first turn, which
// the 0.2 µs that such a parser is faster by make up for after 40,000 messages. It is said before any schema is made.
z.config({ jitless: true });
