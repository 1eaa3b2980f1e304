/**
 * What a request is to the whole router. The type of the router carries it, and clients import that type: so it names
 * nothing that would bring the types of Node, or of the inside of the control plane, along. `ApiContext` is what it is.
 */
export interface RequestContext {
  /** Named in the log lines of this request, and told to the caller with an INTERNAL error. */
  readonly requestId: string;
}
