/** The entries of the journal in frames, as rows that people can read. */
import {
  type EntryContent,
  type EntryUnit,
  type EventPayload,
  entriesOf,
  entryContent,
  entryIdRowKey,
  type ReplicatedEntry,
  readEntryRow,
  readEventPayload,
} from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'
import { jsonText } from './readable-key.ts'
import type { DecodedFrame } from './replica-chunk.ts'

/**
 * The entries that count, in order. One counts if the row of its id has its place: others were
 * repeats, or were refused. The frames are applied. Each is made when it is taken. @throws KeelsonError `SHARD_DOWN`, `CORRUPT`
 */
export function* entriesIn(
  shard: Shard,
  frames: readonly DecodedFrame[],
): IterableIterator<ReplicatedEntry> {
  for (const { lsn, time, units } of frames) {
    let index = 0
    for (const unit of units)
      for (const entry of entriesOf(unit)) {
        const place = { lsn, index: index++ }
        if (counts(shard, entry, place)) yield rowOf(entry, place, time)
      }
  }
}

type Place = { readonly lsn: number; readonly index: number }

const counts = (shard: Shard, { id }: EntryUnit, { lsn, index }: Place): boolean => {
  const row = shard.view().row(entryIdRowKey(id))
  if (!row) return false
  const place = readEntryRow(row)
  return place.lsn === lsn && place.index === index
}

const rowOf = (entry: EntryUnit, { lsn, index }: Place, time: number): ReplicatedEntry => {
  const { id, type, command, response, events, effects } = entryContent(entry)
  return {
    ...{ lsn, index, time, id, type, body: entry.body },
    command: payloadText(command),
    response: payloadText(response),
    events: listText(events),
    effects: listText(effects),
  }
}

const payloadText = (payload: EventPayload): string | undefined =>
  jsonText(readEventPayload(payload).value)

/** Payloads with their types and versions, as a list. */
const listText = (list: EntryContent['events']): string | undefined =>
  jsonText(
    list.map(({ type, payload }) => {
      const { version, value } = readEventPayload(payload)
      return { type, version, value }
    }),
  )
