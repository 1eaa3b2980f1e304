// What the bundle uses and Node 20 lacks. Imported first, so that all other modules may rely on it.
if (!Object.hasOwn(Promise, 'withResolvers')) {
  const withResolvers = <T>(): PromiseWithResolvers<T> => {
    let resolve: PromiseWithResolvers<T>['resolve'] | undefined;
    let reject: PromiseWithResolvers<T>['reject'] | undefined;
    const promise = new Promise<T>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    if (resolve === undefined || reject === undefined) throw new Error('A promise runs its executor at once.');
    return { promise, resolve, reject };
  };
  Object.defineProperty(Promise, 'withResolvers', { value: withResolvers, configurable: true, writable: true });
}
