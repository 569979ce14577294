/**
 * A shard goes from one member to another: it is closed while the links are up, its lock is freed, and
 * the other one is asked to open it at once. A member that closes hands its shards over, one
 * after another. It takes none, so members that close together hand nothing around. It is apart
 * from `member-watch.ts`, which decides when a shard should go.
 */
import { passed } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { InstanceParts, ShardMoves } from '../../supervisors/index.ts'
import { placeShards } from '../placement/shard-placement.ts'
import type { MemberDirectory, MovingTurn } from '../sharing/member-directory.ts'

/** The work in a shard has so long to end, in ms, as when it moves for another reason. */
const workMs = 10_000

/** A shard that did not leave is left alone for so many times the time that it was held up. */
const restFactor = 15

/** A member says within this time whether it takes shards, in ms. */
const answerMs = 1_000

/** A member opens a shard within this time, in ms; it opens it later all the same. */
const openMs = 30_000

/** The turn to move a shard is tried so often, in ms. */
const turnMs = 20

/** Whether the other member has begun to close, or has ended, since it said that it takes shards. */
const hasEnded = (error: unknown): boolean =>
  isKeelsonError(error) && ['CLOSED', 'NO_PROCESS', 'EXITED'].includes(error.code)

/** The parts that a hand-over needs. */
export type HandOverParts = Pick<InstanceParts, 'system' | 'shards' | 'readiness' | 'ending'> & {
  readonly way: NonNullable<InstanceParts['way']>
  readonly directory: MemberDirectory
  readonly moves: ShardMoves
}

/**
 * Hands the shards of this member over when it closes, and takes shards of other members that
 * close.
 */
export class HandOver {
  readonly #parts: HandOverParts
  /** Shards that did not leave, and when they are asked again. */
  readonly #notBefore = new Map<number, number>()
  #isClosing = false

  constructor(parts: HandOverParts) {
    this.#parts = parts
    parts.way.answer('shards.takes', () => this.#takes)
    parts.way.answer('shards.take', (shard) => this.#take(shard))
  }

  get #takes(): boolean {
    return !this.#isClosing && this.#parts.readiness.state === 'ready'
  }

  /**
   * Gives each open shard to a member that takes it, for at most `ms`, and begins with none once the
   * instance ends. The others are given back at the end of the process. Never rejects.
   */
  async giveAll(ms: number): Promise<void> {
    const { shards, system } = this.#parts
    this.#isClosing = true
    const endsAt = system.clock.monotonic() + ms
    for (const { index, phase } of shards) {
      const leftMs = endsAt - system.clock.monotonic()
      if (leftMs <= 0) return
      if (phase.kind !== 'open') continue
      const to = placeShards(shards.length, await this.#takers())[index]
      if (to === undefined) return
      await this.#give(index, to, Math.min(workMs, leftMs))
    }
  }

  /**
   * Whether a shard may be given now. After a failed attempt to leave, the shard is left alone for
   * a while.
   */
  mayGive(shard: number): boolean {
    const { shards, system } = this.#parts
    return !shards[shard]?.isHeld && system.clock.monotonic() >= (this.#notBefore.get(shard) ?? 0)
  }

  /** Gives a shard to a member that takes it now. False: it does not, or not yet. Never rejects. */
  async give(shard: number, member: string): Promise<boolean> {
    return (await this.#isTaking(member)) && this.#give(shard, member, workMs)
  }

  /** The members that take shards now. They may have begun to close since the last shard. */
  async #takers(): Promise<readonly string[]> {
    const { others } = this.#parts.way
    const answers = await Promise.all(others.map((member) => this.#isTaking(member)))
    return others.filter((_, at) => answers[at])
  }

  async #isTaking(member: string): Promise<boolean> {
    const { way } = this.#parts
    if (!way.isLinked(member)) return false
    const answer = way.askMember(member, 'shards.takes', null, answerMs)
    return (await answer.catch(() => false)) === true
  }

  async #give(shard: number, member: string, ms: number): Promise<boolean> {
    const { moves, directory, system, ending } = this.#parts
    let turn: MovingTurn | undefined
    try {
      turn = await this.#turn(ms)
      // A turn may come late: the directory may be away.
      if (!turn || ending.aborted) return false
      const since = system.clock.monotonic()
      if (!(await moves.close(shard, ms, this.#isClosing))) {
        const now = system.clock.monotonic()
        this.#notBefore.set(shard, now + restFactor * (now - since))
        return false
      }
      await directory.give(shard)
      if (await this.#isTakenBy(member, shard)) return true
      if (this.#isClosing) return await this.#isTakenByAny(shard, member)
      await this.#takeBack(shard)
    } catch (error) {
      this.#note(error, `shard ${shard} could not be given`, { shard, other: member })
    } finally {
      await turn?.release()
    }
    return false
  }

  /** A shard that nobody has taken stays here. */
  async #takeBack(shard: number): Promise<void> {
    const { directory, moves, ending } = this.#parts
    if (!ending.aborted && (await directory.take(shard))) await moves.open(shard)
  }

  /** Whether a member opens a shard that nobody has. Never rejects. */
  async #isTakenBy(member: string, shard: number): Promise<boolean> {
    try {
      await this.#parts.way.askMember(member, 'shards.take', shard, openMs)
      return true
    } catch (error) {
      this.#note(error, `${member} has not taken shard ${shard}`, { shard, other: member })
      return false
    }
  }

  /** The same for any but the one that has not: otherwise the shard waits for the end of this process. */
  async #isTakenByAny(shard: number, failed: string): Promise<boolean> {
    const others = (await this.#takers()).filter((member) => member !== failed)
    for (const member of others) if (await this.#isTakenBy(member, shard)) return true
    return false
  }

  #note(error: unknown, what: string, facts: { readonly shard: number; readonly other: string }) {
    const { logger } = this.#parts.system
    if (this.#parts.ending.aborted) return
    const line = `${what}: ${reasonText(error)}`
    if (hasEnded(error)) logger.info(line, facts)
    else logger.warn(line, { ...facts, reason: error })
  }

  /** Waits for the turn to move a shard, for at most `ms`. */
  async #turn(ms: number): Promise<MovingTurn | undefined> {
    const { directory, system } = this.#parts
    const { clock } = system
    const endsAt = clock.monotonic() + ms
    for (;;) {
      const turn = await directory.turn(endsAt - clock.monotonic())
      if (turn || clock.monotonic() >= endsAt) return turn
      await passed(clock, turnMs)
    }
  }

  async #take(shard: unknown): Promise<void> {
    const { shards, directory, moves } = this.#parts
    if (typeof shard !== 'number' || !shards[shard])
      throw invalidArgument('shard', `0 to ${shards.length - 1}`, shard)
    if (!this.#takes) throw new KeelsonError('CLOSED', 'this member takes no shards now')
    if (await directory.take(shard)) await moves.open(shard)
  }
}
