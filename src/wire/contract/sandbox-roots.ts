/** The folders of a sandbox that the file API reaches. The first is where relative paths begin. */
export const sandboxRoots = ['/workspace', '/home/agent', '/tmp'] as const;
