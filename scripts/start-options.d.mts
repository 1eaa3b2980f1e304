export declare const startFlags: readonly string[];
export declare function startEnvironment(root: string): { readonly NODE_COMPILE_CACHE: string };
