/**
 * A chunk for a replica: whole groups of frames, and their readable rows. A frame decides nothing
 * alone: the keys that it names are sent with their present values. So the rows of the replica are
 * right in the end, whatever was refused. Pure, but for the reads that it is given.
 */
import {
  type BlobRef,
  decodeFrame,
  loggedBlobRow,
  type ReadableChange,
  type ReadFrame,
  type ReplicatedBlob,
  refsOfUnit,
  type Unit,
  workerKind,
} from '../../storage/index.ts'
import { keysIn } from '../core/namespace-keys.ts'
import { touchedBy } from '../core/shard-changes.ts'
import { readableChange, readableEntity } from './readable-key.ts'
import type { ReplicatedShard } from './replicated-shard.ts'

/** A frame that was read, and its payload. */
export type TakenFrame = Pick<ReadFrame, 'lsn' | 'time' | 'startsGroup'> & {
  readonly payload: Uint8Array
}

/**
 * How many of `frames` go at once: about `bytesMax` of payloads, and whole groups only, the first
 * whatever its size. `isEnd`: nothing durable follows, so the last group is whole. 0: the first
 * group is not whole yet.
 */
export const chunkLength = (
  frames: readonly Pick<TakenFrame, 'startsGroup' | 'payload'>[],
  isEnd: boolean,
  bytesMax: number,
): number => {
  let bytes = 0
  let whole = 0
  for (const [at, { startsGroup, payload }] of frames.entries()) {
    if (startsGroup && at > 0) whole = at
    bytes += payload.length
    if (bytes > bytesMax && whole > 0) return whole
  }
  return isEnd ? frames.length : whole
}

/** A frame with its units. Their values are views of the payload. */
export type DecodedFrame = Pick<TakenFrame, 'lsn' | 'time'> & { readonly units: readonly Unit[] }

/** Decodes a frame. @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION` */
export const decodedFrame = ({ lsn, time, payload }: TakenFrame): DecodedFrame => ({
  lsn,
  time,
  units: decodeFrame(payload).units,
})

/** The changes of a list of keys or frames for readers of the replica, and its blobs. */
export type Sides = {
  readonly clears: ReadonlySet<string | undefined>
  readonly keys: ReadonlySet<string>
  /** Durable actors, as `kind/id`. */
  readonly entities: ReadonlySet<string>
  readonly refs: readonly BlobRef[]
  /** Their places, where only refused units refer to them: they may have been freed. */
  readonly freed?: ReadonlySet<string>
}

/**
 * The places of blobs that no row of the log's blobs names. Only refused units refer to them, or the
 * log has given their frames back: the sender looks whether it has these frames still.
 */
export const unloggedOf = (
  shard: ReplicatedShard,
  refs: readonly BlobRef[],
): ReadonlySet<string> => {
  const view = shard.view()
  const gone = refs.filter((ref) => view.row(loggedBlobRow(ref, 0)[0]) === undefined)
  return new Set(gone.map(placeOf))
}

const placeOf = ({ segment, offset }: BlobRef): string => `${segment}:${offset}`

/** The keys, clears, durable actors and blobs of frames. */
export const sidesOf = (frames: readonly DecodedFrame[]): Sides => {
  const clears = new Set<string | undefined>()
  const keys = new Set<string>()
  const entities = new Set<string>()
  const refs: BlobRef[] = []
  for (const { units } of frames) {
    for (const touched of touchedBy(units))
      if (touched.kind === 'clear') clears.add(touched.namespace)
      else for (const key of touched.keys) keys.add(key)
    for (const unit of units) {
      refs.push(...refsOfUnit(unit))
      if (unit.kind === 'turn' && isShown(unit.entity)) entities.add(unit.entity)
    }
  }
  return { clears, keys, entities, refs }
}

/** Whether people are shown an entity. Other kinds with a `$` are positions in the journal. */
export const isShown = (entity: string): boolean =>
  !entity.startsWith('$') || entity.startsWith(`${workerKind}/`)

/** The keys of a cleared namespace are looked for in pieces: rows are sent as they are taken. */
const pieceMax = 500

/** The changes of readable rows: clears first. Each value is read when it is taken. */
export function* changesOf(
  shard: ReplicatedShard,
  { clears, keys, entities }: Pick<Sides, 'clears' | 'keys' | 'entities'>,
): IterableIterator<ReadableChange> {
  for (const namespace of clears) {
    yield { kind: 'clear', namespace }
    // A clear that was refused has left its keys, and no later frame need name them.
    let piece: readonly string[]
    for (let last: string | undefined; ; last = piece.at(-1)) {
      piece = keysIn(shard.view(), shard.now(), { namespace, after: last, max: pieceMax })
      for (const key of piece) if (!keys.has(key)) yield readableChange(shard, key)
      if (piece.length < pieceMax) break
    }
  }
  for (const key of keys) yield readableChange(shard, key)
  for (const entity of entities) yield readableEntity(shard, entity)
}

/** Blobs, each once, with the way to their bytes. */
export function* blobsOf(
  shard: ReplicatedShard,
  { refs, freed }: Pick<Sides, 'refs' | 'freed'>,
): IterableIterator<ReplicatedBlob> {
  const seen = new Set<string>()
  for (const ref of refs) {
    const place = placeOf(ref)
    if (seen.has(place)) continue
    seen.add(place)
    const read = (from: number, to: number) => shard.blobs.read(ref, from, to)
    yield { ref, read: freed?.has(place) ? undefined : read }
  }
}
