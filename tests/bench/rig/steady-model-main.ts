import { startScriptedModel, streamedDeltas } from '../../doubles/scripted-model.ts';

// The scripted model in a process of its own: every answer begins at once and goes on for four seconds, five deltas a second.
const model = await startScriptedModel({
  script: () => ({ kind: 'reply', delayMs: 200, deltas: streamedDeltas(20, 8) }),
});
process.send?.(model.baseUrl);
process.once('disconnect', () => process.exit(0));
