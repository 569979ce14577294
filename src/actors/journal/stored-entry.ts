/** Entries as they are read back, from frames just applied or from the log. Pure but for rows. */
import {
  decodeFrame,
  type EntryPlace,
  type EventPayload,
  entriesOf,
  entryContent,
  entryCounts,
  entryIdRowKey,
  type FrameUnits,
  type Row,
  unitsIn,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { WatchSource } from '../store/shard-watch.ts'
import type { PayloadTypes } from './entry-input.ts'
import { hadEntryWithin } from './shard-journal.ts'

/** An event or a side effect of a stored entry. `readEventPayload` reads its value. */
export type StoredPayload<Types extends PayloadTypes = PayloadTypes> = {
  readonly [Type in keyof Types & string]: {
    readonly type: Type
    readonly payload: EventPayload<Types[Type]>
  }
}[keyof Types & string]

/** An entry as it is read back: its place, and everything that it says. */
export type StoredEntry<
  Events extends PayloadTypes = PayloadTypes,
  Effects extends PayloadTypes = PayloadTypes,
> = EntryPlace & {
  readonly shard: number
  readonly id: string
  readonly type: string
  readonly command: EventPayload
  readonly response: EventPayload
  readonly events: readonly StoredPayload<Events>[]
  readonly effects: readonly StoredPayload<Effects>[]
}

/** The entries of a shard that count, for a watch. */
export const entriesIn = (shard: ShardCore): WatchSource<StoredEntry> => ({
  ofFrame: ({ frame: { lsn, time, units, rows } }) => {
    const found: StoredEntry[] = []
    addCounting(found, shard.index, { lsn, time }, units, (key) => rows.get(key))
    return found
  },
  // The log may have frames that are not applied yet. No id says that their entries count.
  ofLog: ({ frames, bytes }) => {
    const found: StoredEntry[] = []
    const view = shard.view()
    const rowOf = (key: string): Row | undefined => view.peek(key, shard)
    for (const { lsn, time, offset, length } of frames) {
      // A copy, so that a payload that is kept does not keep the whole read buffer.
      const { units } = decodeFrame(Buffer.from(bytes.subarray(offset, offset + length)))
      addCounting(found, shard.index, { lsn, time }, units, rowOf)
    }
    return found
  },
  bytesOf: ({ command, response, events, effects }) =>
    command.length + response.length + bytesIn(events) + bytesIn(effects),
  hadWithin: (from, end) => hadEntryWithin(() => shard.view(), shard.parts.clock, { from, end }),
})

const bytesIn = (list: readonly StoredPayload[]): number => {
  let sum = 0
  for (const { payload } of list) sum += payload.length
  return sum
}

/** Adds the entries of an applied frame that count. `rowOf`: a row that is read at once. */
const addCounting = (
  found: StoredEntry[],
  shard: number,
  { lsn, time }: { readonly lsn: number; readonly time: number },
  units: FrameUnits,
  rowOf: (rowKey: string) => Row | undefined,
): void => {
  let index = 0
  for (const unit of unitsIn(units))
    for (const entry of entriesOf(unit)) {
      const place = { lsn, index: index++, time }
      if (!entryCounts(rowOf(entryIdRowKey(entry.id)), place)) continue
      const { id, type, command, response, events, effects } = entryContent(entry)
      found.push({ shard, ...place, id, type, command, response, events, effects })
    }
}
