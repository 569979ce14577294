/**
 * `members`: makes the links of one member. Of each pair the member with the lesser name connects,
 * so that a pair has one connection; it tries again for as long as it runs. The other one listens.
 * A connection becomes a link when both have greeted, and then has a process. It is apart from
 * `members.ts`, which code of users reaches, because it is a process.
 */

import { backoffMs } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import {
  type ChildSpec,
  type Context,
  type DynamicSupervisorMessages,
  dynamicSupervisor,
  type GenServer,
  type Name,
  noReply,
  type Ref,
  type Settled,
  send,
  startDynamicChild,
  supervisor,
  tracerOf,
  worker,
} from '../../runtime/index.ts'
import type { Reach } from '../../supervisors/index.ts'
import { Link, type LinkEnd } from './link.ts'
import { type Greeting, knownKinds } from './link-message.ts'
import type { OutboxLimits } from './link-outbox.ts'
import { linkServer, type OpenLink } from './link-process.ts'
import type { LinkConnection, LinkTransport } from './link-transport.ts'
import { LocalService } from './peer-service.ts'

/** The options of the links of a member. */
export interface Linked {
  /** The name of a process of the links. */
  named<M>(word: string): Name<M>
  readonly cluster: string
  /** The name of this member. */
  readonly member: string
  readonly incarnation: string
  readonly transport: LinkTransport
  readonly reach: Reach
  /** Whether a peer may be linked to. */
  readonly admits?: (peer: Greeting) => boolean
  /** The greatest kind of message that it says it knows. */
  readonly knows?: number
  readonly limits?: OutboxLimits
  /** The board runs. Returns the members that it knows of. */
  began(board: Ref<Messages>): Iterable<string>
  opened(open: OpenLink): void
  ended(open: OpenLink, end: LinkEnd): void
  /** The board has ended. */
  stopped(): void
}

/** The messages of the board. Its own code sends all of them. */
export type Messages = {
  calls: Record<never, never>
  casts: Record<never, never>
  infos: {
    listening: (settled: Settled<void>) => void
    listen: () => void
    /** There is a member of that name. */
    expect: (member: string) => void
    greeted: (greeted: { readonly link: Link; readonly peer: Greeting }) => void
    notGreeted: (failed: { readonly member: string | undefined; readonly error: unknown }) => void
    linkEnded: (ended: { readonly member: string; readonly end: LinkEnd }) => void
    dial: (member: string) => void
  }
}

/** The tries to connect to a member. */
type Dialled = { failures: number; since: number; isUnderWay: boolean; said: string | undefined }

type State = {
  readonly linked: Linked
  readonly dialled: Map<string, Dialled>
  /** The links that have not ended. */
  readonly links: Set<Link>
  /** In a row, to listen. */
  failures: number
}

/** The pauses before a member is connected to again. */
const pauses = { baseMs: 50, maxMs: 1_000, jitter: 0.2 }

/** After a link that lived for so long, the pauses are short again, in ms. */
const steadyMs = 10_000

type BoardContext = Context<Messages>

const server: GenServer<Messages, State, Linked> = {
  kind: 'members',
  init: (linked, context) => {
    // `terminate` runs.
    context.trapExit(true)
    const state: State = { linked, dialled: new Map(), links: new Set(), failures: 0 }
    // Nothing runs in a process that is killed, not even `terminate`.
    context.system.monitor(context.self, () => {
      for (const link of state.links) link.close(stopped())
      linked.stopped()
    })
    listen(state, context)
    for (const member of linked.began(context.self)) expectMember(state, member, context)
    return state
  },

  accepts: {
    calls: {},
    casts: {},
    infos: {
      listening: () => true,
      listen: () => true,
      expect: () => true,
      greeted: () => true,
      notGreeted: () => true,
      linkEnded: () => true,
      dial: () => true,
    },
  },

  calls: {},
  casts: {},

  // Answers leave before the links end.
  terminate: async ({ links }) => {
    await Promise.all([...links].map((link) => link.left()))
  },

  infos: {
    listen: (state, _, context) => {
      listen(state, context)
      return noReply(state)
    },
    listening: (state, settled, context) => {
      if (settled.ok) state.failures = 0
      else {
        const waitMs = backoffMs(pauses, ++state.failures, context.system.clock.random())
        if (state.failures === 1)
          warn(context, `no member can connect: ${reasonText(settled.error)}`, settled.error)
        context.sendAfter(waitMs, 'listen')
      }
      return noReply(state)
    },
    expect: (state, member, context) => {
      expectMember(state, member, context)
      return noReply(state)
    },
    dial: (state, member, context) => {
      void dial(state, member, context)
      return noReply(state)
    },
    greeted: (state, { link, peer }, context) => {
      startLink(state, link, peer, context)
      return noReply(state)
    },
    notGreeted: (state, { member, error }, context) => {
      const dialled = member === undefined ? undefined : state.dialled.get(member)
      // That nothing listens is no fault: a member may come later.
      const text = isKeelsonError(error) && error.code !== 'CLOSED' ? reasonText(error) : ''
      if (text !== '' && dialled?.said !== text)
        warn(context, `a connection ${member ? `to ${member} ` : ''}was refused: ${text}`, error)
      if (dialled) {
        dialled.said = text
        dialLater(state, member ?? '', context)
      }
      return noReply(state)
    },
    linkEnded: (state, { member, end }, context) => {
      const { logger, clock } = context.system
      const { reason, isPlain } = end
      const { code, message } = reason
      // A member that ends is nothing that a stack would explain.
      if (isPlain) logger.info(`the link to ${member} has ended: ${message}`, { code })
      else logger.warn(`the link to ${member} was ended: ${reasonText(reason)}`, { code, reason })
      const dialled = state.dialled.get(member)
      if (dialled) {
        if (clock.monotonic() - dialled.since >= steadyMs) dialled.failures = 0
        dialLater(state, member, context)
      }
      return noReply(state)
    },
  },
}

const warn = (context: BoardContext, line: string, reason: unknown): void =>
  context.system.logger.warn(line, { reason })

const listen = (state: State, context: BoardContext): void => {
  const accept = (connection: LinkConnection): void => greet(state, connection, undefined, context)
  context.pipe(state.linked.transport.listen(context.signal, accept), 'listening')
}

/** A member with a lesser name connects by itself. */
const expectMember = (state: State, member: string, context: BoardContext): void => {
  if (member <= state.linked.member || state.dialled.has(member)) return
  state.dialled.set(member, { failures: 0, since: 0, isUnderWay: false, said: undefined })
  void dial(state, member, context)
}

const dial = async (state: State, member: string, context: BoardContext): Promise<void> => {
  const dialled = state.dialled.get(member)
  if (dialled === undefined || dialled.isUnderWay) return
  dialled.isUnderWay = true
  try {
    greet(state, await state.linked.transport.connect(member), member, context)
  } catch (error) {
    send(context.self, 'notGreeted', { member, error })
  }
}

const dialLater = (state: State, member: string, context: BoardContext): void => {
  const dialled = state.dialled.get(member)
  if (dialled === undefined) return
  dialled.isUnderWay = false
  const waitMs = backoffMs(pauses, ++dialled.failures, context.system.clock.random())
  context.sendAfter(waitMs, 'dial', member)
}

/** Begins a link on a connection. `dialled`: the member that was connected to. */
const greet = (
  state: State,
  connection: LinkConnection,
  dialled: string | undefined,
  context: BoardContext,
): void => {
  const { linked, links } = state
  const { clock } = context.system
  if (context.signal.aborted) {
    connection.close()
    return
  }
  const { cluster, member, incarnation, knows = knownKinds } = linked
  const link = new Link({
    connection,
    clock,
    own: { cluster, member, incarnation, knows },
    admit: (peer) => admit(linked, peer, dialled),
    serve: (made) => new LocalService(context.system, made, linked.reach),
    tracer: () => tracerOf(context.system),
    ...(linked.limits && { limits: linked.limits }),
  })
  links.add(link)
  link.greeted.then(
    (peer) => {
      if (!send(context.self, 'greeted', { link, peer })) link.close(stopped())
    },
    (error) => {
      links.delete(link)
      send(context.self, 'notGreeted', { member: dialled, error })
    },
  )
}

const stopped = (): KeelsonError => new KeelsonError('CLOSED', 'this member stops')

/** @throws KeelsonError `CONFIG` for a peer that this member must not talk to */
const admit = (linked: Linked, peer: Greeting, dialled: string | undefined): void => {
  const refuse = (expected: string, found: string): never => {
    throw new KeelsonError('CONFIG', `expected ${expected}, found ${found}`, {
      details: { expected, found },
    })
  }
  if (peer.cluster !== linked.cluster)
    refuse(`a member of ${linked.cluster}`, `${peer.member} of ${peer.cluster}`)
  if (dialled !== undefined && peer.member !== dialled) refuse(`the member ${dialled}`, peer.member)
  if (linked.admits?.(peer) === false) refuse('a member with a lease', peer.member)
  // Otherwise a pair could have two links.
  if (dialled === undefined && peer.member >= linked.member)
    refuse(`a member with a lesser name than ${linked.member}`, peer.member)
}

const startLink = (state: State, link: Link, peer: Greeting, context: BoardContext): void => {
  const { linked } = state
  const { member } = peer
  const { logger, clock } = context.system
  const dialled = state.dialled.get(member)
  if (dialled) dialled.since = clock.monotonic()
  const start = {
    link,
    peer,
    onOpen: (open: OpenLink) => {
      logger.info(`linked to ${member}`, { other: member, incarnation: peer.incarnation })
      linked.opened(open)
    },
    onEnd: (open: OpenLink, end: LinkEnd) => {
      state.links.delete(link)
      linked.ended(open, end)
      send(context.self, 'linkEnded', { member, end })
    },
  }
  const spec = worker(`link(${member})`, linkServer, start, { restart: 'temporary' })
  const links = context.system.to(linked.named<DynamicSupervisorMessages>('links'))
  startDynamicChild(links, spec).then(
    (started) => {
      if (started.ok) return
      state.links.delete(link)
      link.close(stopped())
      send(context.self, 'notGreeted', { member, error: undefined })
    },
    () => link.close(stopped()),
  )
}

/** The part of an instance's tree that has its links. */
export const linksTree = (linked: Linked): ChildSpec =>
  supervisor('members', { strategy: 'one_for_all', name: linked.named('members') }, [
    dynamicSupervisor('links', { name: linked.named('links') }),
    worker('switchboard', server, linked, { name: linked.named<Messages>('switchboard') }),
  ])
