import * as z from 'zod';

// For each object schema zod would write a parser and have it compiled when it is first used: some 4 ms more until a guest has read its
// first messages, for 0.2 µs less at each message after it (both measured on the schemas alone). It is said before any schema is made.
z.config({ jitless: true });
