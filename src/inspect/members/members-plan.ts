/**
 * The decisions of the parent of members: which process is started, asked to end or killed, and when
 * all is over. It is given what has happened, and answers with orders. Its rules are those of a
 * supervisor (`one_for_one`, permanent), but a restart both waits and spends intensity. Pure.
 */
import {
  type Backoff,
  givesUp,
  type LogLevel,
  recentRestarts,
  restartWaitMs,
} from '../../runtime/index.ts'
import type { MembersOptions } from '../../supervisors/index.ts'
import { type EndSignal, signalStatuses } from '../command/environment.ts'

/** What the parent is to do. */
export type Order =
  /** Start the process of a member; ask it for a sign of life; ask it to end; kill it. */
  | { readonly to: 'start' | 'ask' | 'end' | 'kill'; readonly member: string }
  /** Call `waited` after this time. */
  | { readonly to: 'wait'; readonly member: string; readonly ms: number }
  /** Call `unjudged` after this time, in the place of an earlier such order. */
  | { readonly to: 'hold'; readonly member: string; readonly ms: number }
  | { readonly to: 'say'; readonly level: LogLevel; readonly text: string }
  /** All members are ready for the first time. */
  | { readonly to: 'announce' }
  /** No process is left. The parent ends with this status. */
  | { readonly to: 'finish'; readonly status: number }

/** How the process of a member has ended. */
export type MemberEnd = { readonly status: number | null; readonly signal: string | null }

/** A member, as the parent sees its process. */
type Member = {
  readonly name: string
  /** `idle`: it has no process and gets none by itself. `waiting`: it has none until `waited`. */
  phase: 'idle' | 'starting' | 'running' | 'ending' | 'waiting'
  /** When its process was started, on the parent's clock. */
  startedAt: number
  /** Restarts in a row. */
  row: number
  /** The times of the restarts that count, the newest first. */
  restarts: readonly number[]
  /** Its last start was refused for the configuration. */
  isRefused: boolean
  /** Its process answers: it is asked in each tick. */
  isWatched: boolean
  /** A debugger may hold up its event loop. */
  isInspected: boolean
  /** Ticks since it was asked, if it has not answered. */
  silentTicks: number | undefined
  /** The sorts of actors at rest that its build would block; `undefined`: it has not judged yet. */
  wouldBlock: readonly string[] | undefined
}

/** The status of a process whose start would be refused again: EX_CONFIG of sysexits.h. */
const refusedStatus = 78

/** A member that does not answer for so many ticks is killed. */
const ticksOfStuck = 10

/** The restarts after SIGHUP wait so long at most for the judgement of a member. */
const judgementMs = 60_000

const backoff: Backoff = { fromMs: 100, toMs: 5_000 }

/** The plan of a parent. Times are in ms, on a clock that never goes back. */
export class MembersPlan {
  readonly #members: ReadonlyMap<string, Member>
  #options: MembersOptions
  /** All members have been ready at one time. */
  #hasServed = false
  /** Members that SIGHUP is still to restart, in this order. */
  #queue: string[] = []
  /** The member that was restarted last for SIGHUP. */
  #rolled: string | undefined
  /** Whether the queue waits for the judgement of that member. */
  #isHeld = false
  /** The sorts that the build before SIGHUP would block. */
  #known: ReadonlySet<string> = new Set()
  /** The status that the parent ends with. Set: all end. */
  #status: number | undefined
  #signal: EndSignal | undefined

  /** `options` hold until a member brings those of its configuration. */
  constructor(names: readonly string[], options: MembersOptions) {
    this.#options = options
    this.#members = new Map(names.map((name) => [name, newMember(name)]))
  }

  /** The time between two ticks. */
  get tickMs(): number {
    return this.#options.stuckMs / ticksOfStuck
  }

  /**
   * The first member goes ahead. So a wrong configuration is reported once, and one process makes a
   * new folder.
   */
  begin(now: number): Order[] {
    const [first] = this.#members.values()
    return first ? this.#start(first, now) : []
  }

  /** A member has got the folder, with these options in its configuration. */
  joined(name: string, options: MembersOptions, now: number): Order[] {
    this.#options = options
    if (this.#hasServed || this.#status !== undefined) return []
    const others = this.#all('idle').filter((member) => member.name !== name)
    return others.flatMap((member) => this.#start(member, now))
  }

  /** A member has started in full. */
  ready(name: string): Order[] {
    const member = this.#of(name)
    if (member.phase !== 'starting') return []
    member.phase = 'running'
    member.isRefused = false
    if (this.#hasServed)
      return [say('info', `${title(member)} is ready`), ...this.#readyAgain(name)]
    if (this.#all('running').length < this.#members.size) return []
    this.#hasServed = true
    return [{ to: 'announce' }]
  }

  /**
   * A member has judged its actors at rest. `wouldBlock`: the sorts that its build would block, such as
   * `workflow order: DIVERGED`.
   */
  judged(name: string, wouldBlock: readonly string[]): Order[] {
    this.#of(name).wouldBlock = wouldBlock
    if (this.#options.judge !== 'hold' || this.#queue.length === 0) return []
    if (this.#queue.includes(name)) {
      // Its build is the one before. It has got other shards, and judged them.
      this.#known = new Set([...this.#known, ...wouldBlock])
      return []
    }
    const fresh = wouldBlock.filter((sort) => !this.#known.has(sort))
    const wasHeld = this.#isHeld && this.#rolled === name
    if (wasHeld || fresh.length > 0) this.#isHeld = false
    if (fresh.length === 0) return wasHeld ? this.#roll() : []
    return this.#stopRolling(
      `member ${name} would block actors that none would before: ${fresh.join(', ')}`,
    )
  }

  /** The judgement of a member has not come in its time. */
  unjudged(name: string): Order[] {
    if (!this.#isHeld || this.#rolled !== name) return []
    this.#isHeld = false
    const text = `SIGHUP: member ${name} has not judged all in ${judgementMs / 1_000} s: the next one restarts`
    return [say('warn', text), ...this.#roll()]
  }

  /** The event loop of a member moves: it has answered, or begins to answer. */
  alive(name: string, isInspected: boolean): Order[] {
    const member = this.#of(name)
    // A message that comes before a process listens is lost.
    const hasMissedEnd = member.phase === 'ending' && !member.isWatched
    Object.assign(member, { silentTicks: undefined, isWatched: true, isInspected })
    return hasMissedEnd ? [{ to: 'end', member: name }] : []
  }

  /** A part of `stuckMs` is over for the parent, which may have been stopped itself. */
  tick(): Order[] {
    return [...this.#members.values()].flatMap((member) =>
      hasProcess(member) && member.isWatched ? this.#watch(member) : [],
    )
  }

  /** The process of a member has ended. `drawn` is a number from 0 to 1. */
  ended(name: string, end: MemberEnd, now: number, drawn: number): Order[] {
    const member = this.#of(name)
    const { phase } = member
    member.phase = 'idle'
    if (this.#status !== undefined) return this.#endedLast(member, end)
    if (!this.#hasServed) {
      const text = `${title(member)} has not started (${endText(end)}): all end`
      return [say('error', text), ...this.#endAll(end.status ?? 1)]
    }
    if (phase === 'ending') return this.#start(member, now)
    if (this.#rolled === name) this.#isHeld = false
    const stopped = phase === 'starting' ? this.#stopRolling(`${name} does not start`) : []
    return [...stopped, ...this.#restart(member, end, now, drawn)]
  }

  /** The wait of a member is over. */
  waited(name: string, now: number): Order[] {
    const member = this.#of(name)
    return member.phase === 'waiting' ? this.#start(member, now) : []
  }

  /** A signal: the first one ends all in order, the second one at once. */
  signalled(signal: EndSignal): Order[] {
    const isFirst = this.#signal === undefined
    this.#signal = signal
    if (!isFirst) return this.#endAtOnce(signalStatuses[signal])
    const said = say('info', `${signal}: ending in order; once more ends at once.`)
    if (this.#status !== undefined) return [said]
    return [said, ...this.#endAll(this.#hasServed ? 0 : signalStatuses[signal])]
  }

  /** SIGHUP: each member ends in order and starts again, one after another. */
  hungUp(): Order[] {
    if (this.#status !== undefined) return []
    if (!this.#hasServed) return [say('warn', 'SIGHUP: nothing is restarted before all are ready')]
    this.#queue = [...this.#members.keys()]
    this.#known = new Set([...this.#members.values()].flatMap(({ wouldBlock = [] }) => wouldBlock))
    return [say('info', 'SIGHUP: the members restart one after another'), ...this.#roll()]
  }

  #of(name: string): Member {
    return this.#members.get(name) as Member
  }

  #all(phase: Member['phase']): Member[] {
    return [...this.#members.values()].filter((member) => member.phase === phase)
  }

  #start(member: Member, now: number): Order[] {
    member.phase = 'starting'
    member.startedAt = now
    member.isWatched = false
    member.isInspected = false
    member.silentTicks = undefined
    member.wouldBlock = undefined
    return [{ to: 'start', member: member.name }]
  }

  #watch(member: Member): Order[] {
    if (member.silentTicks === undefined) {
      member.silentTicks = 0
      return [{ to: 'ask', member: member.name }]
    }
    member.silentTicks++
    if (member.silentTicks !== ticksOfStuck || member.isInspected) return []
    const stuck = `has not moved for ${this.#options.stuckMs} ms: its process is killed`
    return [
      say('error', `the event loop of ${title(member)} ${stuck}`),
      { to: 'kill', member: member.name },
    ]
  }

  /** A member runs again. The next one may have to wait until it has judged. */
  #readyAgain(name: string): Order[] {
    const isRolled = this.#rolled === name && this.#queue.length > 0
    const hasJudged = this.#of(name).wouldBlock !== undefined
    if (this.#options.judge !== 'hold' || !isRolled || hasJudged) return this.#roll()
    this.#isHeld = true
    return [{ to: 'hold', member: name, ms: judgementMs }]
  }

  /** Takes the next member of the queue, if all run: a second one is never away for it. */
  #roll(): Order[] {
    if (this.#isHeld || this.#all('running').length < this.#members.size) return []
    const next = this.#queue.shift()
    this.#rolled = next
    if (next === undefined) return []
    this.#of(next).phase = 'ending'
    return [{ to: 'end', member: next }]
  }

  #restart(member: Member, end: MemberEnd, now: number, drawn: number): Order[] {
    const { intensity, periodMs } = this.#options
    const ended = `${title(member)} has ended (${endText(end)})`
    member.isRefused = end.status === refusedStatus
    if (now - member.startedAt >= backoff.toMs) member.row = 0
    member.row++
    // The others go on with the configuration that they have. This one waits until it is mended.
    const isLost = member.isRefused
      ? [...this.#members.values()].every((each) => each.isRefused && !hasProcess(each))
      : this.#isTooMany(member, now)
    if (isLost) {
      const why = member.isRefused
        ? 'and no start is accepted'
        : `more than ${intensity} times in ${periodMs} ms`
      return [
        say('error', `EXITED: ${ended}, ${why}: all end`),
        ...this.#endAll(member.isRefused ? refusedStatus : 1),
      ]
    }
    const ms = member.isRefused ? backoff.toMs : restartWaitMs(backoff, member.row, drawn)
    member.phase = 'waiting'
    return [
      // The process itself was asked to end.
      say(end.status === 0 ? 'info' : 'error', `${ended}: it starts again in ${Math.round(ms)} ms`),
      { to: 'wait', member: member.name, ms },
    ]
  }

  #isTooMany(member: Member, now: number): boolean {
    member.restarts = recentRestarts(member.restarts, now, this.#options)
    return givesUp(member.restarts, this.#options)
  }

  /** A member that does not start, or a build that would block more, leaves the others as they are. */
  #stopRolling(why: string): Order[] {
    if (this.#queue.length === 0) return []
    const left = this.#queue.splice(0).join(', ')
    return [say('error', `SIGHUP: ${why}, so these are not restarted: ${left}`)]
  }

  #endAll(status: number): Order[] {
    this.#status = status
    this.#queue = []
    const alive = [...this.#members.values()].filter(hasProcess)
    for (const member of this.#members.values())
      member.phase = hasProcess(member) ? 'ending' : 'idle'
    if (alive.length === 0) return [{ to: 'finish', status }]
    return alive.map(({ name }) => ({ to: 'end', member: name }))
  }

  #endAtOnce(status: number): Order[] {
    const alive = [...this.#members.values()].filter(hasProcess)
    this.#status = status
    return [
      ...alive.map(({ name }): Order => ({ to: 'kill', member: name })),
      { to: 'finish', status },
    ]
  }

  #endedLast(member: Member, end: MemberEnd): Order[] {
    const statuses: readonly (number | null)[] = [0, ...Object.values(signalStatuses)]
    const isOrderly = statuses.includes(end.status)
    const said = isOrderly
      ? []
      : [say('error', `${title(member)} has not ended in order (${endText(end)})`)]
    if (!isOrderly) this.#status ||= 1
    if ([...this.#members.values()].some(hasProcess)) return said
    return [...said, { to: 'finish', status: this.#status ?? 1 }]
  }
}

const newMember = (name: string): Member => ({
  name,
  phase: 'idle',
  startedAt: 0,
  row: 0,
  restarts: [],
  isRefused: false,
  isWatched: false,
  isInspected: false,
  silentTicks: undefined,
  wouldBlock: undefined,
})

const hasProcess = ({ phase }: Member): boolean =>
  phase === 'starting' || phase === 'running' || phase === 'ending'

const title = ({ name }: Member): string => `member ${name}`

const say = (level: LogLevel, text: string): Order => ({ to: 'say', level, text })

const endText = ({ status, signal }: MemberEnd): string => signal ?? `status ${status}`

/** a to z, then aa, ab, and so on. With another count the same names come first. */
export const memberNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => nameOf(index))

const letters = 26
const firstLetter = 97

const nameOf = (index: number): string => {
  const last = String.fromCharCode(firstLetter + (index % letters))
  return index < letters ? last : `${nameOf(Math.floor(index / letters) - 1)}${last}`
}
