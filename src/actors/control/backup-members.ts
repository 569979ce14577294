/**
 * The parts of a backup that other members make. The member that makes the backup asks each of them
 * step by step; each keeps its part under the backup's id, and ends it when that member has ended.
 */
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Progress, ShardCopy } from '../../storage/index.ts'
import { shardAsked } from '../core/at-owner.ts'
import { isCount, isListOf, isRecord, isText } from '../core/payload-check.ts'
import { checkLinked, type ShardClient } from '../core/shard-client.ts'
import { type BackupPart, PartHere, type PartMaking } from './backup-part.ts'
import * as Control from './control.ts'
import type { ControlShard } from './control-shard.ts'

type Step = 'begin' | 'hold' | 'cut' | 'resume' | 'copy' | 'end'

/** A step of a part, as it is asked for. */
type Asked = {
  readonly id: string
  readonly step: Step
  /** The member that makes the backup. */
  readonly member: string
  /** Of `begin`. */
  readonly shards?: readonly number[]
  /** Of `hold`. */
  readonly token?: string
  /** Of `copy`. */
  readonly shard?: number
  readonly dir?: string
}

const question = 'backup'

/** Codes after which nobody knows the part any longer: its member has ended, or has the shards no more. */
const lostCodes = [
  'ELSEWHERE',
  'CLOSED',
  'NO_PROCESS',
  'EXITED',
  'UNKNOWN_OUTCOME',
  'NOT_SUBMITTED',
]

/** Of one backup, and the shards of the member. */
type PartTerms = {
  readonly id: string
  readonly shards: readonly number[]
  readonly endMs: number
  readonly signal: AbortSignal
}

/** The part of another member. */
export class PartThere implements BackupPart {
  readonly shards: readonly number[]
  readonly #way: ShardClient
  readonly #member: string
  readonly #id: string
  readonly #endMs: number
  readonly #ended = new AbortController()
  /** Rejects when this instance closes. */
  readonly #closing: Promise<never>

  /** `endMs`: how long its end may take. `signal`: aborted when this instance closes. */
  constructor(way: ShardClient, member: string, { id, shards, endMs, signal }: PartTerms) {
    this.#way = way
    this.#member = member
    this.#id = id
    this.#endMs = endMs
    this.shards = shards
    this.#closing = new Promise((_, reject) => {
      const refuse = (): void => reject(new KeelsonError('CLOSED', 'the instance is closing'))
      if (signal.aborted) refuse()
      else signal.addEventListener('abort', refuse, { signal: this.#ended.signal })
    })
    this.#closing.catch(() => undefined)
  }

  async begin(): Promise<void> {
    await this.#ask({ step: 'begin', shards: this.shards })
  }

  async hold(token: string): Promise<void> {
    await this.#ask({ step: 'hold', token })
  }

  async cut(): Promise<void> {
    await this.#ask({ step: 'cut' })
  }

  async resume(): Promise<boolean> {
    return (await this.#ask({ step: 'resume' })) === true
  }

  async copy(
    shard: number,
    dir: string,
    onProgress: ((progress: Progress) => void) | undefined,
  ): Promise<ShardCopy> {
    const copy = (await this.#ask({ step: 'copy', shard, dir })) as ShardCopy
    const bytes = bytesOf(copy)
    onProgress?.({ what: 'the shard', bytes, totalBytes: bytes })
    return copy
  }

  async end(): Promise<void> {
    this.#ended.abort()
    // A member that has ended holds nothing, and one whose link has ended lets go by itself.
    await this.#send({ step: 'end' }, this.#endMs).catch(() => undefined)
  }

  async #ask(asked: Omit<Asked, 'id' | 'member'>): Promise<unknown> {
    try {
      // A copy takes its time; the end of the member or of its link ends the wait.
      return await Promise.race([this.#send(asked, Number.POSITIVE_INFINITY), this.#closing])
    } catch (error) {
      if (!isKeelsonError(error) || error.details.member === undefined) throw error
      if (!lostCodes.includes(error.code)) throw error
      throw this.#lost(asked.shard ?? this.shards[0] ?? 0, error)
    }
  }

  #send(asked: Omit<Asked, 'id' | 'member'>, timeoutMs: number): Promise<unknown> {
    const { member } = this.#way
    return this.#way.askMember(
      this.#member,
      question,
      { id: this.#id, member, ...asked },
      timeoutMs,
    )
  }

  #lost(shard: number, cause: KeelsonError): KeelsonError {
    const [member, { shards }] = [this.#member, this]
    return new KeelsonError(
      'SHARD_DOWN',
      `shard ${shard}: the member ${member} has ended during the backup, or has given the shard away`,
      { details: { shard, state: 'elsewhere', member, shards: [...shards] }, cause },
    )
  }
}

const bytesOf = ({ segments, snapshots, blobs }: ShardCopy): number =>
  [...segments, ...snapshots].reduce((sum, { bytes }) => sum + bytes, blobs.bytes)

const isAsked = isRecord({ id: isText, step: isText, member: isText })

type Kept = { readonly part: PartHere; readonly unwatch: () => void }

/** Makes the parts of this member in the backups of others. */
export const answerBackups = (
  way: ShardClient,
  making: PartMaking,
  shards: readonly ControlShard[],
): void => {
  const kept = new Map<string, Kept>()
  const forget = async (id: string): Promise<void> => {
    const found = kept.get(id)
    found?.unwatch()
    await found?.part.end()
    kept.delete(id)
  }
  const begun = (id: string, member: string, indexes: unknown): PartHere => {
    if (!isListOf(isCount)(indexes) || kept.has(id)) throw invalidArgument('id', 'another id', id)
    checkLinked(way, member)
    const part = new PartHere(
      making,
      (indexes as number[]).map((index) => shardAsked(shards, index)),
    )
    const [{ parts } = shards[0] as ControlShard] = shards
    const control = way.at(member, Control.name(parts.instance))
    const unwatch = making.system.monitor(control, () => void forget(id))
    kept.set(id, { part, unwatch })
    return part
  }
  way.answer(question, async (payload) => {
    if (!isAsked(payload)) throw invalidArgument('step', 'a step of a backup', payload)
    const { id, step, member, shards: indexes, token = '', shard = -1, dir = '' } = payload as Asked
    if (step === 'end') return forget(id)
    const part = step === 'begin' ? begun(id, member, indexes) : kept.get(id)?.part
    if (!part) throw new KeelsonError('CLOSED', 'the backup has ended')
    if (step === 'begin') return part.begin()
    if (step === 'hold') return part.hold(token)
    if (step === 'cut') return part.cut()
    if (step === 'copy') return part.copy(shard, dir, undefined)
    return part.resume()
  })
}
