/** `store.watch`: the durable changes of keys from a position on, over all shards. */
import { isKeelsonError } from '../../errors.ts'
import {
  checkKey,
  decodeFrame,
  type ReadAnswer,
  type Row,
  rootNamespace,
} from '../../storage/index.ts'
import { type KeyChange, touchedBy } from '../core/shard-changes.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { WatchSource } from './shard-watch.ts'
import {
  listedValue,
  type ReadsBlobs,
  receivedValue,
  type SentValue,
  sentValue,
} from './value-reading.ts'
import { type ChangePlace, checkedBegin, DurableWatch, type WatchBegin } from './watch.ts'

/** The options of a watch. */
export type WatchOptions = WatchBegin & {
  /** Only keys that begin with it, and removals of namespaces that may have such keys. */
  readonly prefix?: string
}

/**
 * A durable change.
 * - `put`: the key has this value, as `range` lists it.
 * - `delete`: the key has no value: it was deleted, or has expired and was removed.
 * - `clear`: every key of the namespace was removed in the shard of `position`; `undefined`: every
 *   key of that shard.
 */
export type StoreChange = ChangePlace &
  (
    | { readonly kind: 'put'; readonly key: string; readonly value: unknown }
    | { readonly kind: 'delete'; readonly key: string }
    | { readonly kind: 'clear'; readonly namespace: string | undefined }
  )

/** A running watch. End it with `return`, or leave the `for await` loop. */
export class StoreWatch extends DurableWatch<KeyItem, StoreChange> {
  /**
   * @internal `load` loads a large value of a key.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`; the reason of a
   * `signal` that has aborted
   */
  constructor(shards: readonly WritingShard[], options: WatchOptions, load: LoadKey) {
    const { prefix = '', ...begin } = checkedBegin(options, ['prefix'], shards.length)
    if (prefix !== '') checkKey(prefix)
    super(shards, begin, {
      watches: (shard) => ({
        what: 'store',
        terms: { prefix },
        source: changesIn(shard, filterOf(prefix)),
        received: (body, stamp) => ({ ...stamp, sent: body as SentChange, kind: 'sent' }),
      }),
      shown: (item, place, shard) => {
        const change =
          item.kind === 'sent' ? receivedChange(item.sent, load) : shown(shard, item, load)
        return { ...change, ...place }
      },
    })
  }
}

/** A change, from a frame here or from the owner of its shard. */
type KeyItem =
  | KeyChange
  | {
      readonly kind: 'sent'
      readonly lsn: number
      readonly time: number
      readonly sent: SentChange
    }

/** A change without its place. */
type BareChange =
  | Pick<StoreChange & { kind: 'put' }, 'kind' | 'key' | 'value'>
  | Pick<StoreChange & { kind: 'delete' }, 'kind' | 'key'>
  | Pick<StoreChange & { kind: 'clear' }, 'kind' | 'namespace'>

/** A change as a message has it. */
type SentChange =
  | { readonly key: string; readonly value?: SentValue }
  | { readonly namespace?: string }

/** Loads the present value of a key. */
type LoadKey = (key: string) => Promise<unknown>

const shown = (shard: WritingShard, change: KeyChange, load: LoadKey): BareChange => {
  if (change.kind === 'clear') return { kind: 'clear', namespace: change.namespace }
  const { key } = change
  const { blobs } = shard
  const withRow = (row: Row | undefined, from: ReadsBlobs): BareChange =>
    row ? { kind: 'put', key, value: listedValue(from, key, row, load) } : { kind: 'delete', key }
  try {
    // The change may have waited for its reader until a sweep freed the blobs of a replaced value.
    return withRow(change.row, { blobs: { read: blobs.look.bind(blobs) } })
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    return withRow(shard.view().get(key, shard.now()), shard)
  }
}

const receivedChange = (sent: SentChange, load: LoadKey): BareChange => {
  if (!('key' in sent)) return { kind: 'clear', namespace: sent.namespace }
  const { key, value } = sent
  if (value === undefined) return { kind: 'delete', key }
  return { kind: 'put', key, value: receivedValue(value, () => load(key)) }
}

/** The changes of a shard for another member. @throws KeelsonError `INVALID_ARGUMENT` */
export const changesFor = (shard: WritingShard, terms: unknown) => {
  const { prefix } = terms as { readonly prefix: string }
  if (prefix !== '') checkKey(prefix)
  return {
    source: changesIn(shard, filterOf(prefix)),
    sent: (change: KeyChange): SentChange => {
      // Of a large value its length is sent.
      const bare = shown(shard, change, () => Promise.resolve())
      if (bare.kind === 'put') return { key: bare.key, value: sentValue(bare.value) }
      if (bare.kind === 'delete') return { key: bare.key }
      return bare.namespace === undefined ? {} : { namespace: bare.namespace }
    },
  }
}

/** Which changes a watch wants. */
type ChangeFilter = (change: KeyChange) => boolean

/** The changes of a shard. While the watch reads the log, a key has its present value. */
const changesIn = (shard: WritingShard, wants: ChangeFilter): WatchSource<KeyItem> => ({
  ofFrame: ({ changes }) => changes.filter(wants),
  ofLog: (read, end) => namedIn(shard, read, end).filter(wants),
  bytesOf: (change) =>
    change.kind === 'key' ? change.key.length + (change.row?.value.bytes.length ?? 0) : 0,
})

/** The keys named in the frames below `end`, each once, with their present rows. */
const namedIn = (shard: WritingShard, read: ReadAnswer, end: number): readonly KeyChange[] => {
  const view = shard.view()
  const now = shard.now()
  const changes = new Map<string, KeyChange>()
  const set = (name: string, change: KeyChange): void => {
    changes.delete(name)
    changes.set(name, change)
  }
  for (const { lsn, time, offset, length } of read.frames) {
    if (lsn >= end) break
    const { units } = decodeFrame(read.bytes.slice(offset, offset + length))
    for (const touched of touchedBy(units)) {
      if (touched.kind === 'clear') {
        set(`\0${touched.namespace}`, { lsn, time, ...touched })
        continue
      }
      for (const key of touched.keys) {
        const row: Row | undefined = view.get(key, now)
        if (!row || !touched.ended) set(key, { lsn, time, kind: 'key', key, row })
      }
    }
  }
  return [...changes.values()]
}

const filterOf = (prefix: string): ChangeFilter => {
  const mayHave = ({ namespace }: { readonly namespace: string | undefined }): boolean =>
    namespace === undefined ||
    (namespace === rootNamespace
      ? !prefix.includes(':')
      : `${namespace}:`.startsWith(prefix) || prefix.startsWith(`${namespace}:`))
  return (change: KeyChange) =>
    change.kind === 'clear' ? mayHave(change) : change.key.startsWith(prefix)
}
