/**
 * The appends of an owner. Each group is sent at once, after the group that was sent before, and
 * is acknowledged after that one. The engine's answer decides, and nothing else: a group without
 * an answer is sent again under its id. The first failure is final: nothing is acknowledged after it.
 */
import type { EngineGroup, EngineLog, EnginePosition, LogFeatures } from '../../storage/index.ts'
import { ownersEnd, verdictOn } from './append-verdict.ts'
import type { EngineCalls } from './engine-calls.ts'
import type { GroupPlace } from './group-frames.ts'

/** The log of an owner, and the end of its claim. */
export type OwnersParts = {
  readonly log: EngineLog
  readonly calls: EngineCalls
  /** An append that is undecided for so long ends the host, in ms. */
  readonly patienceMs: number
  /** The end of the group that began the epoch. It is acknowledged. */
  readonly claimed: EnginePosition
  /** The unique name of this owner. */
  readonly owner: string
  /** The features of the log. Each group records which of them are on. */
  readonly features: Pick<LogFeatures, 'on'>
}

/** The groups of one epoch. */
export class OwnersAppends {
  readonly #parts: OwnersParts
  #sent: EnginePosition
  #acknowledged: EnginePosition
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: OwnersParts) {
    this.#parts = parts
    this.#sent = parts.claimed
    this.#acknowledged = parts.claimed
  }

  /** The last LSN that was sent. */
  get sentLsn(): number {
    return this.#sent.lsn
  }

  /** The last LSN that was acknowledged, and all before it. */
  get durableLsn(): number {
    return this.#acknowledged.lsn
  }

  /** The features with which the next group marks the log. */
  get features(): number {
    return this.#parts.features.on
  }

  /** Resolves when every group that was sent is decided. */
  get settled(): Promise<unknown> {
    return this.#last
  }

  /**
   * Appends a group of `lsns` LSNs. `encode` gets its place, and makes its bytes. Resolves when the
   * group and all before it are acknowledged.
   * @throws KeelsonError `FENCED`, `CORRUPT`, `SHARD_DOWN` (reason `engine`), `CLOSED`: final
   */
  append(lsns: number, encode: (place: GroupPlace) => Uint8Array): Promise<EngineGroup> {
    const after = this.#sent
    const lsn = after.lsn + lsns
    const end = { epoch: after.epoch, lsn, id: `${this.#parts.owner}-${lsn}` }
    const place = { after, end, provenLsn: this.#acknowledged.lsn }
    const group = { ...place, bytes: encode(place) }
    this.#sent = end
    const decided = this.#decided(group, this.features, this.#last)
    this.#last = decided.catch(() => undefined)
    return decided
  }

  async #decided(
    group: EngineGroup,
    features: number,
    before: Promise<unknown>,
  ): Promise<EngineGroup> {
    const { log, calls, patienceMs } = this.#parts
    const send = () =>
      calls.within(
        patienceMs,
        calls.ask(() => log.append(group, features)),
      )
    // Sent in the order of the groups. Its answer counts after that of the group before.
    const first = send()
    first.catch(() => undefined)
    await before
    if (calls.ended) throw calls.ended
    await this.#answered(group, first, send)
    this.#acknowledged = group.end
    return group
  }

  async #answered(
    group: EngineGroup,
    first: Promise<void>,
    send: () => Promise<void>,
  ): Promise<void> {
    const { calls } = this.#parts
    for (let sent = first, isBehind = false; ; sent = send(), isBehind = true) {
      try {
        return await sent
      } catch (error) {
        if (error === calls.ended) throw error
        const verdict = verdictOn(error, group, isBehind)
        if (verdict !== 'again')
          throw calls.end(ownersEnd(verdict, group, error, this.#acknowledged))
      }
    }
  }
}
