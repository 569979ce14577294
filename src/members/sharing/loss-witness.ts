/**
 * Damage in a log of the engine, and the word that all members take for it. What one member reads may
 * be its own mistake: a library that it shares with an application, a stale copy, a broken build.
 *
 * 1. A member that reads damage ends, and leaves an entry with what it read: a doubt.
 * 2. The owner of the shard, or the next one before it serves, reads the whole log.
 * 3. If it reads damage too, it marks the shard as lost for all, and ends. Otherwise it removes the
 *    entry.
 *
 * The same member is no second witness: another connection of its process shares what is spoilt. It
 * is apart from `member-start.ts` because it needs no instance.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { DirectoryView, EngineLog, LogFeatures } from '../../storage/index.ts'
import type { DirectoryFacts } from '../leases/cluster-directory.ts'
import { type DirectoryParts, setOnce } from './directory-entries.ts'

type Doubt = DirectoryFacts['doubts'][number]

/** `owns`: whether this member owns the shard. `onRefuted`: it has read no damage. */
export type LossWitnessParts = DirectoryParts & {
  readonly clock: Clock
  readonly member: string
  readonly logOf: (shard: number) => EngineLog
  readonly features: Pick<LogFeatures, 'reads'>
  readonly owns: (shard: number) => boolean
  readonly onRefuted: (doubt: Doubt) => void
}

/** What one member says and judges. */
export class LossWitness {
  readonly #parts: LossWitnessParts
  /** The revisions of the entries that are judged. */
  readonly #judging = new Set<string>()

  constructor(parts: LossWitnessParts) {
    this.#parts = parts
  }

  /** This member has read damage. Never rejects. */
  async found(shard: number, error: KeelsonError): Promise<void> {
    const { storage, calls, directory, clock, member, owns } = this.#parts
    const { doubtEntry, factsIn } = storage.directory
    const { proof } = error.details
    const loss = { shard, member, message: error.message, at: clock.now() }
    try {
      const { doubts } = factsIn(await calls.ask(() => directory.view()))
      const other = doubts.some((doubt) => doubt.shard === shard && doubt.member !== member)
      if (other && owns(shard)) await this.#mark(loss)
      else await setOnce(this.#parts, doubtEntry(shard), { ...loss, ...(proof ? { proof } : {}) })
    } catch {
      // The engine is away. The next member that reads the damage says so.
    }
  }

  /** Judges what others have read in shards of this member. @throws KeelsonError `CORRUPT` if it reads it too */
  async judge(view: DirectoryView): Promise<void> {
    const { owns, storage } = this.#parts
    const { doubts } = storage.directory.factsIn(view)
    for (const doubt of doubts) {
      const revision = view.entries.get(storage.directory.doubtEntry(doubt.shard))?.revision ?? 0
      const place = `${doubt.shard} ${revision}`
      if (!owns(doubt.shard) || this.#judging.has(place)) continue
      this.#judging.add(place)
      try {
        await this.#judgeOne(doubt, revision)
      } finally {
        this.#judging.delete(place)
      }
    }
  }

  async #judgeOne(doubt: Doubt, revision: number): Promise<void> {
    const { storage, calls, directory, member, logOf, features, onRefuted } = this.#parts
    const { shard, proof } = doubt
    const loss = await storage.lossIn({ log: logOf(shard), calls, features }, proof)
    if (loss) {
      if (doubt.member !== member) await this.#mark(doubt)
      else
        throw new KeelsonError(loss.code, loss.message, {
          details: { ...loss.details, shard },
          cause: loss.cause,
        })
      throw lostShard(doubt)
    }
    try {
      await calls.ask(() => directory.set(storage.directory.doubtEntry(shard), revision))
      onRefuted(doubt)
    } catch (error) {
      // A person has accepted it meanwhile.
      if (!isKeelsonError(error, 'CONFLICT')) throw error
    }
  }

  /** Marks the shard as lost, so that no member goes on with it. */
  #mark({ shard, member, message, at }: Doubt): Promise<void> {
    const { lostEntry } = this.#parts.storage.directory
    return setOnce(this.#parts, lostEntry(shard), { shard, member, message, at })
  }
}

/** The refusal to serve a shard that has lost acknowledged writes (invariant M7). */
export const lostShard = ({
  shard,
  member,
  message,
}: DirectoryFacts['losses'][number]): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `shard ${shard} has lost acknowledged writes, as the member ${member} has found: ${message}; ` +
      `\`keelson cluster accept-loss ${shard}\` continues without them`,
    { details: { shard, member, isLoss: true } },
  )
