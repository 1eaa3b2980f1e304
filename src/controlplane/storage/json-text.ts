declare const jsonOf: unique symbol;

/** The text of a column that holds a `T` as JSON. */
export type JsonText<T> = string & { readonly [jsonOf]?: T };

export function toJson<T>(value: T): JsonText<T> {
  return JSON.stringify(value);
}

/** Trusts the text: only this store writes it. */
export function fromJson<T>(text: JsonText<T>): T {
  return JSON.parse(text);
}
