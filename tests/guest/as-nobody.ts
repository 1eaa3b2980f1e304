/** Whom root's powers do not help: for what the agent may not do. */
const nobody = 65_534;

/** This process is no longer root, if it was, until the returned function is called. */
export function asNobody(): () => void {
  if (process.geteuid?.() !== 0) return () => undefined;
  process.seteuid?.(nobody);
  return () => process.seteuid?.(0);
}
