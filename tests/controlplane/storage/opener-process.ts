// Opens the data directory that it is given, and prints `open` or the code of its refusal.
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { toCaissonError } from '../../../src/kernel/errors.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('Which directory?');
try {
  const storage = await openStorage(directory);
  console.log('open');
  await storage.close();
} catch (error) {
  console.log(toCaissonError(error).code);
}
