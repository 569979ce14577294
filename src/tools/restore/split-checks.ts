/**
 * Looks for reasons against more shards, in the rows and the logs of a folder, before anything is made.
 * Each finding says what is lost or changed. It is apart because it only reads: `--dry-run` is this
 * alone.
 */

import {
  batchesKind,
  bytesOf,
  type CopiedFolders,
  type Disk,
  decodeFrame,
  decodeRow,
  decodeValue,
  entityOf,
  entityOfRow,
  namedKeys,
  namespaceOf,
  openSnapshot,
  type Progress,
  positionEntity,
  prefixOf,
  type RowClassName,
  readEntityRow,
  readEntryRow,
  rowClassOf,
  type ShardCopy,
  segmentsOf,
  shardOf,
  statesIn,
  strayKey,
  summed,
  type Unit,
  valueTags,
  walkingLog,
} from '../../storage/index.ts'
import type { SplitShard } from './shard-splitting.ts'

/** The kinds of findings. */
export type SplitFindingKind =
  | 'cross-shard'
  | 'unread'
  | 'cut-log'
  | 'projection'
  | 'commitments'
  | 'producer'
  | 'commits'

/** A reason against a split, in one shard or in several. */
export type SplitFinding = {
  /**
   * - `cross-shard`: units, and keys that actors wrote, whose keys would be apart. The program has to change.
   * - `unread`: entries that a subscription or a saved state has not come to. Run it to its end first.
   * - `cut-log`: the log has entries of the journal, or is kept for longer than its snapshots need.
   * - `projection`: a projection by users, which is made again from the present rows.
   * - `commitments`: the chain of commitments ends with this folder.
   * - `producer`: rows that an actor derived from the log, which are gone.
   * - `commits`: batches with runs, which are not known again under their ids.
   *
   * Nothing has to accept the last two: they are notes.
   */
  readonly kind: SplitFindingKind
  /** Kinds of units and patterns of keys, the name of a projection or a subscription. */
  readonly what: string
  readonly count: number
  /** Keys, ids or numbers, ten at most. */
  readonly examples: readonly string[]
}

/** How many examples a finding has. */
const examplesMax = 10

/** Gathers findings that are about the same. */
class Findings {
  readonly #all = new Map<string, { finding: SplitFinding; examples: string[]; count: number }>()

  add(kind: SplitFindingKind, what: string, example: string): void {
    const name = `${kind}\0${what}`
    let found = this.#all.get(name)
    if (!found) {
      const examples: string[] = []
      found = { finding: { kind, what, count: 0, examples }, examples, count: 0 }
      this.#all.set(name, found)
    }
    found.count++
    if (found.examples.length < examplesMax && !found.examples.includes(example))
      found.examples.push(example)
  }

  get all(): readonly SplitFinding[] {
    return [...this.#all.values()].map(({ finding, count }) => ({ ...finding, count }))
  }
}

/** A shard to check: as it is split, and its copy in the backup. */
export type CheckedShard = SplitShard & {
  readonly copied: CopiedFolders
  readonly copy: ShardCopy
  /** The last LSN of the copy that counts. */
  readonly lsn: number
}

/**
 * Looks for reasons against so many shards, and yields its progress.
 * @throws KeelsonError `CORRUPT`; DiskError
 */
export function* checkingSplit(
  disk: Disk,
  shards: number,
  from: readonly CheckedShard[],
): Generator<Progress, readonly SplitFinding[]> {
  const findings = new Findings()
  for (const [index, shard] of from.entries()) {
    yield* checkingRows(disk, shards, index, shard, findings)
    yield* checkingLog(disk, shards, index, shard, findings)
  }
  return findings.all
}

/** A place among the entries of a journal. */
type Place = { readonly lsn: number; readonly index: number }

const isBefore = (one: Place, other: Place): boolean =>
  one.lsn < other.lsn || (one.lsn === other.lsn && one.index < other.index)

function* checkingRows(
  disk: Disk,
  shards: number,
  index: number,
  { folders, snapshot }: CheckedShard,
  findings: Findings,
): Generator<Progress, void> {
  if (!snapshot) return
  // Their actors are where 64 shards would have them (`flow-of-batch.ts`).
  const keepsCommits = 64 % shards === 0
  let last: Place | undefined
  const readers: { readonly name: string; readonly next: Place }[] = []
  const looks: Partial<
    Record<RowClassName, (rowKey: string, key: Uint8Array, record: Uint8Array) => void>
  > = {
    writtenKey: (rowKey, key, record) => {
      const entity = entityOf(rowKey) ?? ''
      const written = Buffer.from(decodeRow(key, record).value.bytes).toString()
      if (shardOf(`{${entity}}`, shards) !== shardOf(written, shards))
        findings.add(
          'cross-shard',
          `${kindOf(entity)} with ${patternOf(written)}`,
          `${entity} ${written}`,
        )
    },
    entryId: (_, key, record) => {
      const place = readEntryRow(decodeRow(key, record))
      if (!last || isBefore(last, place)) last = place
    },
    entity: (rowKey, key, record) => {
      const entity = entityOfRow(rowKey)
      if (entity.startsWith(`${batchesKind}/`) && !keepsCommits)
        findings.add('commits', 'batches with runs', entity.slice(batchesKind.length + 1))
      if (!entity.startsWith(positionEntity(''))) return
      const { body: bytes } = readEntityRow(decodeRow(key, record))
      const [lsn, at] = decodeValue({ tag: valueTags.structured, bytes }) as [number, number]
      const name = entity.slice(positionEntity('').length)
      readers.push({ name: `the subscription ${name}`, next: { lsn, index: at } })
    },
    projectionMark: (rowKey) => {
      const name = rowKey.slice(prefixOf('projectionMark').length)
      if (!name.startsWith('$')) findings.add('projection', name, `shard ${index}`)
    },
    derived: (rowKey) =>
      findings.add('producer', rowKey.slice(2, rowKey.indexOf('\0', 1)), `shard ${index}`),
  }
  const reader = openSnapshot(disk, folders.snapshots, snapshot)
  try {
    for (const { next, records } of reader.blocks()) {
      for (const { key, record } of records) {
        // Most rows are of users' keys.
        if (key[0] !== 0) continue
        const rowKey = Buffer.from(key.buffer, key.byteOffset, key.length).toString()
        const rowClass = rowClassOf(rowKey)
        if (rowClass) looks[rowClass]?.(rowKey, key, record)
      }
      yield { what: `checking shard ${index}`, bytes: next, totalBytes: reader.facts.bytes }
    }
  } finally {
    reader.close()
  }
  const saved = statesIn(disk, folders.snapshots).at(-1)
  if (saved !== undefined)
    readers.push({ name: 'the saved state', next: { lsn: saved + 1, index: 0 } })
  for (const { name, next } of readers)
    if (last && !isBefore(last, next))
      findings.add('unread', name, `shard ${index}, from lsn ${next.lsn} on`)
}

function* checkingLog(
  disk: Disk,
  shards: number,
  index: number,
  { copied, copy, lsn }: CheckedShard,
  findings: Findings,
): Generator<Progress, void> {
  const segments = segmentsOf(disk, copied.wal, copy.segments)
  const oldest = copy.snapshots[0]?.lsn ?? 0
  const totalBytes = bytesOf(segments)
  let hasEntries = false
  let kept = 0
  const steps = walkingLog(disk, copied.wal, segments, { after: 0, to: lsn }, (at, _, payload) => {
    if (at <= oldest) kept++
    for (const unit of decodeFrame(payload).units) {
      if (unit.kind === 'entry' || (unit.kind === 'turn' && (unit.entries ?? []).length > 0))
        hasEntries = true
      const apart = apartIn(unit, shards)
      if (apart) findings.add('cross-shard', apart.what, apart.example)
    }
  })
  const what = `checking the log of shard ${index}`
  yield* summed(steps, (bytes) => ({ what, bytes, totalBytes }))
  if (hasEntries) findings.add('cut-log', 'entries of the journal', `shard ${index}`)
  if (kept > 0)
    findings.add('cut-log', 'log before the oldest snapshot', `shard ${index}, ${kept} frames`)
  if (segments.some(({ header }) => header.chain))
    findings.add('commitments', 'the chain of commitments', `shard ${index}`)
}

/** The keys of a unit that would be apart. `putMany` and `deleteMany` by themselves are one unit in each shard. */
const apartIn = (unit: Unit, shards: number) => {
  const { what, keys } = keysIn(unit)
  const stray = strayKey(keys, shards)
  if (stray === undefined) return undefined
  const [first = ''] = keys
  return {
    what: `${what} with ${[...new Set(keys.map(patternOf))].slice(0, 3).join(', ')}`,
    example: `${first} ${stray}`,
  }
}

const keysIn = (unit: Unit): { readonly what: string; readonly keys: readonly string[] } => {
  switch (unit.kind) {
    case 'batch':
      return { what: 'a batch', keys: unit.commands.flatMap(namedKeys) }
    case 'turn':
      return {
        what: `a turn of ${kindOf(unit.entity)}`,
        keys: [`{${unit.entity}}`, ...unit.writes.flatMap(namedKeys)],
      }
    case 'lock':
    case 'extend':
    case 'unlock':
      return { what: 'a lock', keys: namedKeys(unit) }
    default:
      return { what: '', keys: [] }
  }
}

const kindOf = (entity: string): string => entity.slice(0, entity.indexOf('/'))

/** The namespace of a key, or its first tag: its numbers say nothing about the program. */
const patternOf = (key: string): string => {
  const isActor = /^\{[^{}/]+\/[^{}]*\}/.exec(key)
  if (isActor) return `{${key.slice(1, key.indexOf('/'))}/…}${key.slice(isActor[0].length)}`
  const place = namespaceOf(key)
  return key.includes(':') ? `${place.replace(/\d+/g, '#')}:…` : key.replace(/\d+/g, '#')
}
