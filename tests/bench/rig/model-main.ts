import { startScriptedModel } from '../../doubles/scripted-model.ts';

// The scripted model in a process of its own, as a model service is. Says where it listens, and ends with its parent.
const model = await startScriptedModel();
process.send?.(model.baseUrl);
process.once('disconnect', () => process.exit(0));
