import { setFlagsFromString } from 'node:v8';

/**
 * From here on V8 collects its young objects on the thread that made them, which takes 0.3 ms. By default other threads of the
 * process help, and are waited for: where all cores are busy, as in every turn, a tenth of the collections took 5 to 10 ms.
 * To be called when all is loaded: V8 takes no compiled code from the cache of a process with other flags.
 */
export function scavengeAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
}
