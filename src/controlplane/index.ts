/** The published entry point `caisson/server`: a control plane to embed. */
export { type ControlPlane, startControlPlane, type StartOptions } from './control-plane.ts';
