interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** The largest page that the API gives. */
const pageSize = 200;

/** Reads pages until there are `limit` items or no more; says whether some are left. Newest page first, in the API's order. */
export async function readPages<Item>(
  limit: number,
  read: (page: { readonly limit: number; readonly cursor: string | null }) => Promise<Page<Item>>,
): Promise<{ readonly pages: readonly (readonly Item[])[]; readonly isCut: boolean }> {
  const pages: (readonly Item[])[] = [];
  let left = limit;
  let cursor: string | null = null;
  do {
    const page: Page<Item> = await read({ limit: Math.min(left, pageSize), cursor });
    pages.push(page.items);
    left -= page.items.length;
    cursor = page.nextCursor;
  } while (cursor !== null && left > 0);
  return { pages, isCut: cursor !== null };
}
