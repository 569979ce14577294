/** The entries of the journal in frames, as rows that people can read. */
import {
  type EntryContent,
  type EntryPlace,
  type EntryUnit,
  type EventPayload,
  entriesOf,
  entryContent,
  entryCounts,
  entryIdRowKey,
  type ReplicatedEntry,
  readEventPayload,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import { jsonText } from './readable-key.ts'
import type { DecodedFrame } from './replica-chunk.ts'

/**
 * The entries of applied frames that count, in order. Each is made when it is taken.
 * @throws KeelsonError `SHARD_DOWN`, `CORRUPT`
 */
export function* entriesIn(
  shard: ShardCore,
  frames: readonly DecodedFrame[],
): IterableIterator<ReplicatedEntry> {
  for (const { lsn, time, units } of frames) {
    let index = 0
    for (const unit of units)
      for (const entry of entriesOf(unit)) {
        const place = { lsn, index: index++, time }
        const row = shard.view().row(entryIdRowKey(entry.id))
        if (entryCounts(row, place)) yield rowOf(entry, place)
      }
  }
}

const rowOf = (entry: EntryUnit, place: EntryPlace): ReplicatedEntry => {
  const { id, type, command, response, events, effects } = entryContent(entry)
  return {
    ...{ ...place, id, type, body: entry.body },
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
