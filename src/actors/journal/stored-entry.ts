/** Entries as they are read back, from frames just applied or from the log. Pure but for the rows. */
import {
  decodeFrame,
  type EntryPlace,
  type EventPayload,
  entriesOf,
  entryContent,
  entryIdRowKey,
  type FrameUnits,
  type Row,
  readEntryRow,
  unitsIn,
} from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'
import type { WatchSource } from '../store/shard-watch.ts'
import type { PayloadTypes } from './entry-input.ts'

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
export const entriesIn = (shard: Shard): WatchSource<StoredEntry> => ({
  ofFrame: ({ frame: { lsn, time, units, rows } }) =>
    counting(shard.index, { lsn, time }, units, (key) => rows.get(key)),
  ofLog: ({ frames, bytes }, end) => {
    const view = shard.view()
    return frames.flatMap(({ lsn, time, offset, length }) => {
      if (lsn >= end) return []
      const { units } = decodeFrame(bytes.slice(offset, offset + length))
      return counting(shard.index, { lsn, time }, units, (key) => view.row(key))
    })
  },
  bytesOf: ({ command, response, events, effects }) =>
    [...events, ...effects].reduce(
      (sum, { payload }) => sum + payload.length,
      command.length + response.length,
    ),
})

/**
 * The entries of an applied frame that count: the row of the id has their place. Others were
 * repeats, or were refused.
 */
const counting = (
  shard: number,
  frame: { readonly lsn: number; readonly time: number },
  units: FrameUnits,
  rowOf: (rowKey: string) => Row | undefined,
): readonly StoredEntry[] => {
  const found: StoredEntry[] = []
  let index = 0
  for (const unit of unitsIn(units))
    for (const entry of entriesOf(unit)) {
      const place = { ...frame, index: index++ }
      const row = rowOf(entryIdRowKey(entry.id))
      if (row && isAt(readEntryRow(row), place))
        found.push({ shard, ...place, ...entryContent(entry) })
    }
  return found
}

const isAt = (one: EntryPlace, other: EntryPlace): boolean =>
  one.lsn === other.lsn && one.index === other.index
