export declare function acquireLock(name: string, log: (line: string) => void): Promise<() => void>;
