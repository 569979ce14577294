/** Where a frame stands: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }
