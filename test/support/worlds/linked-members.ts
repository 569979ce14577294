/** Members as Systems of one process, linked over what a simulation carries, on one virtual clock. */

import { type VirtualClock, virtualClock } from '../../../src/clock.ts'
import type { LinkTransport } from '../../../src/members/links/link-transport.ts'
import { Members, type MembersOptions } from '../../../src/members/links/members.ts'
import {
  createSystem,
  direct,
  type GenServer,
  name,
  noReply,
  type PendingCall,
  processOf,
  type Ref,
  reply,
  type System,
  startSupervisor,
  stop,
  stopProcess,
} from '../../../src/runtime/index.ts'
import { type CapturedLog, capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { SimulatedLinks } from './simulated-links.ts'

/** A member in a test. */
export type LinkedMember = {
  readonly system: System
  readonly members: Members
  readonly log: CapturedLog
  /** The lines of its log about links and connections. */
  readonly said: () => string[]
  readonly stop: () => Promise<void>
}

/** Some members and what carries their links. */
export type LinkedWorld = {
  readonly clock: VirtualClock
  readonly links: SimulatedLinks
  /** Starts a member. The others must be told by `expect`, or by a use of its name. */
  readonly start: (member: string, options?: Partial<MembersOptions>) => Promise<LinkedMember>
  /** Two members, `a` and `b`, which are linked. */
  readonly pair: () => Promise<readonly [LinkedMember, LinkedMember]>
  readonly close: () => Promise<void>
}

/** Starts a member on a System. */
export const startMember = async (
  member: string,
  transport: LinkTransport,
  { system, log }: { readonly system: System; readonly log: CapturedLog },
  options: Partial<MembersOptions> = {},
): Promise<LinkedMember> => {
  const members = new Members({
    ...{ system, cluster: 'shop', member, incarnation: `${member}-1` },
    ...{ transport, ...options },
  })
  const root = await startSupervisor(system, members.childSpec())
  const said = (): string[] =>
    log.lines.map(({ message }) => message).filter((line) => /link|connection/.test(line))
  return { system, members, log, said, stop: () => stopProcess(root, 'shutdown') }
}

/** A world of members with one virtual clock. A seed gives delays, pieces and an order of processes. */
export const linkedWorld = (given: { seed?: number; delayMs?: number } = {}): LinkedWorld => {
  const clock = virtualClock(given.seed)
  const links = new SimulatedLinks(clock, given)
  const started: LinkedMember[] = []
  const start = async (member: string, options?: Partial<MembersOptions>) => {
    const log = capturedLog()
    const { seed } = given
    const system = createSystem({ clock, logger: log, ...(seed !== undefined && { seed }) })
    const made = startMember(member, links.transport(member), { system, log }, options)
    await clock.settle()
    started.push(await made)
    return made
  }
  return {
    ...{ clock, links, start },
    pair: async () => {
      const [a, b] = [await start('a'), await start('b')]
      a.members.expect('b')
      await clock.advance(1_000)
      return [a, b]
    },
    close: async () => {
      for (const { system } of started) for (const { ref } of system.processes()) system.kill(ref)
      await clock.settle()
    },
  }
}

/** The messages of a process at another member. */
export type DeskMessages = {
  calls: {
    echo: (payload?: unknown) => unknown
    seen: () => readonly unknown[]
    fail: (how: string) => never
    never: () => void
    later: (ms: number) => number
  }
  casts: { note: (payload: unknown) => void; end: (reason: unknown) => void }
  infos: { noted: (payload: unknown) => void }
}

/** A server that answers, notes and fails. */
export const desk: GenServer<DeskMessages, { readonly seen: unknown[] }> = {
  init: () => ({ seen: [] }),
  calls: {
    echo: (state, payload) => reply(payload, state),
    seen: (state) => reply([...state.seen], state),
    fail: (state, how) => {
      state.seen.push(how)
      throw new Error(how)
    },
    never: (state) => noReply(state),
    later: async (state, ms, context) => {
      await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return reply(ms, state)
    },
  },
  casts: {
    note: (state, payload) => {
      state.seen.push(payload)
      return noReply(state)
    },
    end: (_, reason) => stop(reason),
  },
  infos: {
    noted: (state, payload) => {
      state.seen.push(payload)
      return noReply(state)
    },
  },
}

/** Starts a desk under a name. */
export const startDesk = ({ system }: LinkedMember, as = 'desk'): Promise<Ref<DeskMessages>> =>
  system.start(desk, undefined, { name: name<DeskMessages>(as) })

/** The desk of another member. */
export const deskAt = ({ members }: LinkedMember, member = 'b', as = 'desk'): Ref<DeskMessages> => {
  members.expect(member)
  return members.at(member).ref<DeskMessages>(as)
}

/** The messages of a process that is as a durable one. */
export type TillMessages = { calls: { pay: (cents: number) => number } }

/** A process that takes ids, as a durable one does, and answers when it is told to. */
export const durableLike = async ({ system }: LinkedMember) => {
  const till = { handled: [] as string[], answers: false }
  const server: GenServer<TillMessages, null> = {
    init: (_, context) => {
      processOf(context).outputs = { ...direct, isDurable: true }
      return null
    },
    calls: {
      pay: (state, cents, context) => {
        till.handled.push((context.from as PendingCall).id ?? '')
        return till.answers ? reply(cents, state) : noReply(state)
      },
    },
  }
  await system.start(server, undefined, { name: name<TillMessages>('till') })
  return till
}
