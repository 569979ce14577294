/**
 * One seed of the simulation of links. An odd seed is a member and peers that break the protocol in
 * every way that the seed finds. An even one is three members that send to each other while their
 * connections are slow, cut, parted and stopped, and that judge what became of each message.
 */

import { seededRandom } from '../../../src/clock.ts'
import type { KeelsonError } from '../../../src/errors.ts'
import { linkKinds } from '../../../src/members/links/link-message.ts'
import {
  call,
  cast,
  direct,
  type GenServer,
  name,
  noReply,
  type PendingCall,
  processOf,
  type Ref,
  reply,
} from '../../../src/runtime/index.ts'
import {
  deskAt,
  type LinkedMember,
  type LinkedWorld,
  linkedWorld,
  startDesk,
} from '../worlds/linked-members.ts'
import { frameOfBytes, frameOfList, greetingOf, RoguePeer } from '../worlds/rogue-peer.ts'
import type { Tally } from './seed-lives.ts'

/** Lives the life of `seed`. Rejects with what was promised and did not hold. */
export const liveLinks = async (seed: number): Promise<Tally> => {
  const random = seededRandom(seed)
  const draw: Draw = {
    number: (below) => Math.floor(random() * below),
    oneOf: (choices) => choices[Math.floor(random() * choices.length)] as never,
    happens: (chance) => random() < chance,
  }
  const world = linkedWorld({ seed, delayMs: 40 })
  try {
    const tally = await (seed % 2 ? fuzz(world, draw) : live(world, draw))
    return { lives: 1, ...tally }
  } finally {
    await world.close()
  }
}

type Draw = {
  number(below: number): number
  oneOf<T>(choices: readonly T[]): T
  happens(chance: number): boolean
}

const claim = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what)
}

// Peers that break the protocol.

/** A message that a peer may send. */
const someMessage = (draw: Draw): unknown[] => {
  const id = draw.number(8)
  const target = draw.oneOf(['desk', 'desk', 'nobody', '', 'x'.repeat(draw.number(1_200))])
  const value = draw.oneOf([
    1,
    null,
    'text',
    [[]],
    new Map([[1, 2]]),
    Buffer.alloc(draw.number(9_000)),
  ])
  const reason = draw.oneOf([
    { value: 'normal' },
    { name: 'Error', message: 'm', cause: { name: 'E', message: 'n' } },
    { name: 'KeelsonError', message: 'm', code: 'BUSY', details: { a: 1 } },
    { name: 1, message: {} },
    7,
  ])
  return draw.oneOf<() => unknown[]>([
    () => [
      ...[linkKinds.call, id, target, draw.oneOf(['echo', 'never', 'seen', 'none'])],
      ...[draw.oneOf([null, 0, 50, 5_000, -1]), draw.number(5), draw.oneOf([null, 'r-1', ''])],
      value,
    ],
    () => [linkKinds.cast, target, 'note', 0, value],
    () => [linkKinds.info, target, 'noted', value],
    () => [linkKinds.reply, id, draw.oneOf([null, [0, 1], [1]]), value],
    () => [linkKinds.failed, id, reason],
    () => [linkKinds.abort, id],
    () => [linkKinds.monitor, id, target],
    () => [linkKinds.demonitor, id],
    () => [linkKinds.down, id, reason],
    () => [draw.number(300), value],
  ])()
}

/** The bytes of a message, right or damaged. */
const someBytes = (draw: Draw): Buffer => {
  const frame = frameOfList(...someMessage(draw))
  switch (draw.number(12)) {
    case 0:
      for (let flips = 1 + draw.number(4); flips > 0; flips--)
        frame[draw.number(frame.length)] = draw.number(256)
      return frame
    case 1:
      return frame.subarray(0, draw.number(frame.length))
    case 2:
      return frameOfBytes(
        Buffer.from(Array.from({ length: draw.number(40) }, () => draw.number(256))),
      )
    case 3:
      return frameOfBytes(frame.subarray(4, 4 + draw.number(frame.length)))
    default:
      return frame
  }
}

/** The wrong beginnings of a connection. */
const someGreeting = (draw: Draw): Buffer => {
  const right = greetingOf({ incarnation: `a-${draw.number(1_000)}` })
  if (draw.happens(0.8)) return right
  return draw.oneOf([
    greetingOf({ cluster: 'other' }),
    greetingOf({ member: draw.oneOf(['b', 'c', 'z']) }),
    right.subarray(0, draw.number(right.length)),
    someBytes(draw),
    Buffer.from(Array.from({ length: draw.number(64) }, () => draw.number(256))),
  ])
}

const fuzz = async (world: LinkedWorld, draw: Draw): Promise<Tally> => {
  const b = await world.start('b')
  const desk = await startDesk(b)
  const before = b.system.processes().length
  const board = b.system.whereis(name('switchboard'))?.pid
  let [peers, frames] = [0, 0]
  const open: RoguePeer[] = []
  for (let rounds = 20 + draw.number(40); rounds > 0; rounds--) {
    if (open.length < 3 || draw.happens(0.2)) {
      peers++
      const peer = new RoguePeer(world.links.connect('a', 'b'))
      open.push(peer.say(someGreeting(draw)))
    }
    for (let count = draw.number(20); count > 0; count--, frames++)
      draw.oneOf(open).say(someBytes(draw))
    if (draw.happens(0.1)) open.splice(draw.number(open.length), 1)[0]?.close()
    if (draw.happens(0.1)) world.links.cut()
    await world.clock.advance(draw.number(100))
    for (const ended of open.filter(({ isEnded }) => isEnded)) open.splice(open.indexOf(ended), 1)
    if (open.length === 0) continue
    if (draw.happens(0.05)) world.links.pause('a')
    if (draw.happens(0.2)) world.links.resume('a')
  }
  world.links.cut()
  await world.clock.advance(10_000)
  claim(b.system.whereis(name('switchboard'))?.pid === board, 'the board was restarted')
  claim(b.members.status.length === 0, 'a link is left')
  claim(world.links.connections === 0, 'a connection is left')
  // The desk may have been ended by what a peer sent to it, as by any caller.
  const isThere = b.system.info(desk as Ref) !== undefined
  const left = b.system.processes().length - (isThere ? 0 : -1)
  claim(left === before, `${left} processes are left of ${before}`)
  const warnings = b.log.messages('warn').length
  claim(warnings <= peers, `${warnings} warnings of ${peers} connections`)
  await startDesk(b, 'another')
  claim((await call(deskAt(b, 'b', 'another'), 'echo', 7)) === 7, 'the member answers no more')
  return { 'fuzz.peers': peers, 'fuzz.messages': frames, 'fuzz.warnings': warnings }
}

// Members that send to each other.

type Sent = { readonly from: string; readonly at: number }

type LedgerMessages = {
  calls: { add: (sent: Sent) => number }
  casts: { note: (sent: Sent) => void }
}

/** A process that takes ids, as a durable one does: it remembers the answer of each. `effects`: what took effect. */
const ledger = (effects: Sent[]): GenServer<LedgerMessages, Set<string>> => ({
  init: (_, context) => {
    processOf(context).outputs = { ...direct, isDurable: true }
    return new Set()
  },
  calls: {
    add: (done, sent, context) => {
      const { id } = context.from as PendingCall
      if (id === undefined || !done.has(id)) effects.push(sent)
      if (id !== undefined) done.add(id)
      return reply(sent.at, done)
    },
  },
  casts: {
    note: (done, sent) => {
      effects.push(sent)
      return noReply(done)
    },
  },
})

type Message = Sent & {
  readonly to: string
  readonly hasId: boolean
  outcome: string
  settled: number
}

const names = ['a', 'b', 'c']

/** What each outcome says about the effects of its message. */
const effectsOf: Readonly<Record<string, readonly number[]>> = {
  answered: [1],
  sent: [0, 1],
  refused: [0],
  NOT_SUBMITTED: [0],
  BUSY: [0],
  NO_PROCESS: [0],
  UNKNOWN_OUTCOME: [0, 1],
  TIMEOUT: [0, 1],
}

const send = (from: LinkedMember, message: Message, draw: Draw): void => {
  const ref = from.members.at(message.to).ref<LedgerMessages>('ledger')
  const sent = { from: message.from, at: message.at }
  if (draw.happens(0.3)) {
    message.outcome = cast(ref, 'note', sent) ? 'sent' : 'refused'
    message.settled = 1
    return
  }
  const id = message.hasId ? { id: `${message.from}-${message.at}` } : {}
  const timeoutMs = draw.oneOf([100, 1_000, 5_000])
  const settle = (outcome: string): void => {
    message.outcome = outcome
    message.settled++
  }
  call(ref, 'add', sent, { timeoutMs, ...id }).then(
    (at) => settle(at === message.at ? 'answered' : `answered with ${at}`),
    (error: KeelsonError) => settle(error.code),
  )
}

const trouble = (world: LinkedWorld, draw: Draw): void => {
  const [one, other] = draw.oneOf([
    ['a', 'b'],
    ['a', 'c'],
    ['b', 'c'],
  ] as const)
  draw.oneOf([
    () => world.links.cut(one, other),
    () => world.links.part(one, other),
    () => world.links.heal(),
    () => world.links.pause(one),
    () => world.links.resume(one),
  ])()
}

const live = async (world: LinkedWorld, draw: Draw): Promise<Tally> => {
  const effects = new Map<string, Sent[]>()
  const members = new Map<string, LinkedMember>()
  for (const each of names) {
    const member = await world.start(each)
    const own: Sent[] = []
    effects.set(each, own)
    members.set(each, member)
    await member.system.start(ledger(own), undefined, { name: name<LedgerMessages>('ledger') })
  }
  for (const { members: known } of members.values()) for (const each of names) known.expect(each)
  await world.clock.advance(2_000)
  const messages: Message[] = []
  for (let rounds = 60 + draw.number(60); rounds > 0; rounds--) {
    for (let count = draw.number(8); count > 0; count--) {
      const from = draw.oneOf(names)
      const to = draw.oneOf(names.filter((each) => each !== from))
      const base = { from, to, at: messages.length, hasId: draw.happens(0.4) }
      const message: Message = { ...base, outcome: 'pending', settled: 0 }
      messages.push(message)
      send(members.get(from) as LinkedMember, message, draw)
    }
    if (draw.happens(0.3)) trouble(world, draw)
    await world.clock.advance(draw.number(60))
  }
  world.links.heal()
  for (const each of names) world.links.resume(each)
  await world.clock.advance(20_000)
  return judged(world, members, messages, effects)
}

const judged = (
  world: LinkedWorld,
  members: ReadonlyMap<string, LinkedMember>,
  messages: readonly Message[],
  effects: ReadonlyMap<string, readonly Sent[]>,
): Tally => {
  const tally: Tally = { messages: messages.length }
  for (const { from, to, at, outcome, settled } of messages) {
    claim(settled === 1, `message ${at} of ${from} has settled ${settled} times: ${outcome}`)
    const count = effects.get(to)?.filter((each) => each.at === at).length ?? 0
    const allowed = effectsOf[outcome]
    claim(allowed !== undefined, `message ${at} of ${from} is ${outcome}`)
    claim(allowed?.includes(count) === true, `message ${at} is ${outcome} with ${count} effects`)
    tally[`messages.${outcome}`] = (tally[`messages.${outcome}`] ?? 0) + 1
  }
  for (const [to, taken] of effects)
    for (const from of names) {
      const order = taken.filter((each) => each.from === from).map(({ at }) => at)
      const isRising = order.every((at, index) => index === 0 || at > (order[index - 1] ?? 0))
      claim(isRising, `${to} has the messages of ${from} in another order: ${order}`)
    }
  claim(world.links.connections === 3, `${world.links.connections} connections of three pairs`)
  for (const { members: known, log } of members.values()) {
    claim(known.status.length === 2, 'a pair is not linked')
    const waiting = known.status.some(({ calls, messages: left }) => calls + left > 0)
    claim(!waiting, 'something waits in a link')
    claim(log.messages('error').length === 0, `an error: ${log.messages('error')[0]}`)
  }
  return tally
}
