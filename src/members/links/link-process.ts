/**
 * The process of one link. Messages do not pass through its mailbox: the link hands them on as they
 * come. It is there so that a link is seen, supervised, and can be ended. It starts the forwarders
 * to the processes of its peer, which end with it.
 */
import type { Cancel } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type Context,
  foreseen,
  type GenServer,
  isCall,
  type Message,
  noReply,
  type Process,
  processOf,
  stop,
} from '../../runtime/index.ts'
import { Forwarder } from './forwarder.ts'
import type { Link, LinkEnd } from './link.ts'
import type { Greeting } from './link-message.ts'

/** A forwarder without messages for so long ends, if nobody watches it, in ms. */
const idleMs = 60_000

/**
 * A call or a cast that the peer has not taken, or that the peer leaves to the next owner of the
 * shard.
 */
export type Unsent = {
  readonly message: Message
  readonly target: string
  /** The message is for the owner of this shard; `undefined`: it is for a member. */
  readonly shard: number | undefined
}

/** A link that has greeted its peer, with its forwarders. */
export class OpenLink {
  readonly peer: Greeting
  readonly link: Link
  readonly #context: Context
  readonly #forwarders = new Map<string, Forwarder>()
  /** The shards for whose owner it has had forwarders. */
  readonly #shards = new Set<number>()
  readonly #endSweeps: Cancel
  #isFull = false
  #sweepsAt: number

  constructor(peer: Greeting, link: Link, context: Context) {
    this.peer = peer
    this.link = link
    this.#sweepsAt = link.owedMax / 2
    this.#context = context
    link.onRoom = () => this.#roomAgain()
    this.#endSweeps = this.#sweepEach()
  }

  /** The forwarder to the process with that name; with `shard` for messages to its owner. */
  forwarder(target: string, shard: number | undefined): Process {
    const key = `${shard ?? ''} ${target}`
    const known = this.#forwarders.get(key)?.process
    if (known?.alive) return known
    // The peer has a monitor for each one, and ends a link with too many: that of a sender which goes
    // through all actors of a large kind.
    if (this.#forwarders.size >= this.#sweepsAt) this.#sweep((forwarder) => forwarder.isNeeded)
    if (shard !== undefined) this.#shards.add(shard)
    const { member } = this.peer
    const label = `${target} at ${member}`
    const ref = this.#context.spawnLink(forever, { kind: 'forwarder', label })
    const process = processOf({ self: ref })
    const { link } = this
    const onLeft = (left: readonly Message[]): void => this.#again(left, target, shard)
    const terms = { link, member, target, shard, onLeft, onFull: () => this.#full() }
    const forwarder = new Forwarder(process, terms)
    forwarder.isFull = this.#isFull
    this.#forwarders.set(key, forwarder)
    return process
  }

  /** Takes out what the link has not taken for the owner of a shard, in the order for each process. */
  takeBack(shard: number): readonly Unsent[] {
    if (!this.#shards.has(shard)) return []
    const own = [...this.#forwarders.values()].filter((forwarder) => forwarder.shard === shard)
    return own.flatMap((forwarder) =>
      forwarder.takeBack().map((message) => ({ message, target: forwarder.target, shard })),
    )
  }

  /** Gives messages to the next process that stands for the one of that name. */
  #again(messages: readonly Message[], target: string, shard: number | undefined): void {
    for (const message of messages) {
      const process = this.forwarder(target, shard)
      if (isCall(message)) process.owed.add(message)
      process.deliver(message)
    }
  }

  /** The link has ended, and its forwarders end. Returns the calls that it has not taken. */
  unplug(): readonly Unsent[] {
    this.#endSweeps()
    const unsent = [...this.#forwarders.values()].flatMap((forwarder) => {
      const { target, shard } = forwarder
      return forwarder.unplug().map((message) => ({ message, target, shard }))
    })
    this.#forwarders.clear()
    return unsent
  }

  /** Logs and prompts show this, not the internal fields. */
  toString(): string {
    const { messages, calls } = this.link.status
    return `link to ${this.peer.member}: ${calls} calls there, ${messages} messages to send`
  }

  #full(): void {
    this.#isFull = true
    for (const forwarder of this.#forwarders.values()) forwarder.isFull = true
  }

  #roomAgain(): void {
    if (!this.#isFull) return
    this.#isFull = false
    for (const forwarder of this.#forwarders.values()) forwarder.isFull = false
    // One that finds no room again makes all of them full.
    for (const forwarder of this.#forwarders.values()) if (!this.#isFull) forwarder.goOn()
  }

  /** Ends the forwarders that are not kept. The next time is when half of what is free now is taken. */
  #sweep(isKept: (forwarder: Forwarder) => boolean): void {
    for (const [key, forwarder] of this.#forwarders) {
      if (forwarder.process.alive && isKept(forwarder)) continue
      forwarder.process.end('normal')
      this.#forwarders.delete(key)
    }
    this.#sweepsAt = (this.link.owedMax + this.#forwarders.size) / 2
  }

  #sweepEach(): Cancel {
    const { clock } = this.#context.system
    let cancel: Cancel = () => undefined
    const arm = (): void => {
      cancel = clock.after(idleMs, sweep, { holdsProcess: false })
    }
    const sweep = (): void => {
      this.#sweep((forwarder) => !forwarder.isIdle)
      arm()
    }
    arm()
    return () => cancel()
  }
}

const forever = (): Promise<never> => new Promise(() => undefined)

/** The argument of the process of a link. */
export type LinkStart = {
  readonly peer: Greeting
  readonly link: Link
  readonly onOpen: (open: OpenLink) => void
  /** Settles the calls. Called before the process ends. */
  readonly onEnd: (open: OpenLink, end: LinkEnd) => void
}

type None = Record<never, never>

/** The server of a link. */
export const linkServer: GenServer<{ calls: None; casts: None; infos: None }, OpenLink, LinkStart> =
  {
    kind: 'link',
    init: ({ peer, link, onOpen, onEnd }, context) => {
      if (link.hasEnded) return stop(['shutdown', 'ended'])
      // The end of a forwarder is no failure of the link.
      context.trapExit(true)
      const process = processOf(context)
      const open = new OpenLink(peer, link, context as unknown as Context)
      link.onEnd = (end) => {
        onEnd(open, end)
        process.fail(end.isPlain ? ['shutdown', end.reason] : foreseen(end.reason))
      }
      // Nothing runs in a process that is killed, not even `terminate`.
      context.system.monitor(context.self, () =>
        link.close(new KeelsonError('CLOSED', 'the process of the link has ended')),
      )
      onOpen(open)
      return open
    },
    accepts: { calls: {}, casts: {}, infos: {} },
    exit: (open) => noReply(open),
  }
