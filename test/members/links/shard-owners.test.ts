/** Refs of processes at the owner of a shard lead to whoever has it, and calls wait for one. */
import { afterEach, describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  linkKinds,
  ownsFrame,
  reasonFrame,
  replyFrame,
  returnedFrame,
} from '../../../src/members/links/link-message.ts'
import { movedError } from '../../../src/members/links/link-refusals.ts'
import { Ownership } from '../../../src/members/links/shard-owners.ts'
import { call, cast, name, processOf, type Ref } from '../../../src/runtime/index.ts'
import {
  type DeskMessages,
  durableLike,
  type LinkedMember,
  type LinkedWorld,
  linkedWorld,
  startDesk,
  type TillMessages,
} from '../../support/worlds/linked-members.ts'
import { greetingOf, RoguePeer } from '../../support/worlds/rogue-peer.ts'

let world: LinkedWorld
afterEach(() => world.close())

const pair = async () => {
  world = linkedWorld()
  return world.pair()
}

const deskOf = ({ members }: LinkedMember, shard = 3): Ref<DeskMessages> =>
  members.refOf<DeskMessages>(shard, 'desk')

const moved = async (member: LinkedMember, has: boolean, shard = 3): Promise<void> => {
  member.members.own(shard, has)
  await world.clock.advance(100)
}

/** The outcome of a promise so far. */
const watched = (promise: Promise<unknown>): { value: unknown } => {
  const seen = { value: 'pending' as unknown }
  promise.then(
    (value) => {
      seen.value = value
    },
    (error) => {
      seen.value = error
    },
  )
  return seen
}

test('a call goes to the owner, wherever that is, and follows the shard', async () => {
  const [a, b] = await pair()
  await startDesk(a)
  await startDesk(b)
  await moved(b, true)
  expect(a.members.ownerOf(3)).toBe('b')
  expect(b.members.ownerOf(3)).toBe('b')
  const there = watched(call(deskOf(a), 'echo', 'at b'))
  cast(deskOf(a), 'note', 1)
  await world.clock.advance(100)
  expect(there.value).toBe('at b')
  expect(await call(deskOf(b), 'seen')).toEqual([1])

  await moved(b, false)
  await moved(a, true)
  expect([a, b].map(({ members }) => members.ownerOf(3))).toEqual(['a', 'a'])
  cast(deskOf(b), 'note', 2)
  await world.clock.advance(100)
  expect(await call(deskOf(a), 'seen')).toEqual([2])
})

test('a call waits for an owner within its time, and then is SHARD_DOWN', async () => {
  const [a, b] = await pair()
  await startDesk(b)
  const waits = watched(call(deskOf(a), 'echo', 'waited', { timeoutMs: 2_000 }))
  const late = watched(call(deskOf(a, 4), 'echo', 'late', { timeoutMs: 300 }))
  await world.clock.advance(1_000)
  expect(waits.value).toBe('pending')
  expect(late.value).toMatchObject({
    code: 'SHARD_DOWN',
    details: { shard: 4, state: 'elsewhere' },
  })
  await moved(b, true)
  expect(waits.value).toBe('waited')
})

test('in a member that closes, what waits for an owner is SHARD_DOWN a second later, and a later call at once', async () => {
  const [a, b] = await pair()
  await startDesk(b)
  a.members.closes()
  const early = watched(call(deskOf(a), 'echo', 'early', { timeoutMs: 20_000 }))
  await world.clock.advance(900)
  const late = watched(call(deskOf(a), 'echo', 'late', { timeoutMs: 20_000 }))
  expect([early.value, late.value]).toEqual(['pending', 'pending'])
  await world.clock.advance(100)
  const down = { code: 'SHARD_DOWN', details: { shard: 3, state: 'elsewhere' } }
  expect([early.value, late.value]).toMatchObject([down, down])
  await expect(call(deskOf(a), 'echo', 'after', { timeoutMs: 20_000 })).rejects.toMatchObject(down)

  await moved(b, true)
  expect(await call(deskOf(a), 'echo', 'owned')).toBe('owned')
})

test('a call that waited for an owner and gets no answer in time names its whole time', async () => {
  const [a, b] = await pair()
  await startDesk(b)
  const late = watched(call(deskOf(a), 'never', undefined, { timeoutMs: 2_000 }))
  await world.clock.advance(1_500)
  await moved(b, true)
  await world.clock.advance(500)
  expect(late.value).toMatchObject({ code: 'TIMEOUT', details: { timeoutMs: 2_000 } })
  expect(String(late.value)).toContain('within 2000 ms')
})

test('of more than 1,024 calls that wait for an owner the others are BUSY', async () => {
  const [a, b] = await pair()
  await startDesk(b)
  const waiting = Array.from({ length: 1_025 }, (_, at) => watched(call(deskOf(a), 'echo', at)))
  await world.clock.settle()
  const settled = waiting.filter(({ value }) => value !== 'pending')
  expect(settled).toMatchObject([{ value: { code: 'BUSY', details: { shard: 3 } } }])
  await moved(b, true)

  expect(waiting.slice(0, 1_024).map(({ value }) => value)).toEqual([...Array(1_024).keys()])
})

test('each change of an owner is told once, at each member', async () => {
  const [a, b] = await pair()
  const told: number[] = []
  const forget = a.members.onMoved((shard) => told.push(shard))
  await moved(b, true, 1)
  await moved(b, true, 2)
  await moved(b, true, 2)
  await b.stop()
  await world.clock.advance(100)
  expect(told).toEqual([1, 2, 1, 2])
  expect(a.members.ownerOf(1)).toBeUndefined()
  forget()
  await moved(a, true, 1)
  expect(told).toHaveLength(4)
})

test('late words of a former owner take no shard from the next one', () => {
  const owners = new Ownership('a')
  const told: number[] = []
  const say = (member: string, ...words: readonly number[][]): void => {
    for (const shards of words) owners.said(member, new Set(shards))
  }
  say('b', [1, 2, 3])
  owners.onMoved((shard) => told.push(shard))
  say('c', [1], [1, 2], [1, 2, 3])
  say('b', [2, 3], [3], [])
  expect([1, 2, 3].map((shard) => owners.ownerOf(shard))).toEqual(['c', 'c', 'c'])
  expect(told).toEqual([1, 2, 3])
})

test('the next owner has the shard, too, if the former one took and gave it in words that were read late', () => {
  const owners = new Ownership('a')
  for (const [member, shards] of [
    ['b', [3]],
    ['c', [3]],
    ['c', []],
  ] as const)
    owners.said(member, new Set(shards))
  expect(owners.ownerOf(3)).toBe('b')
  owners.said('b', new Set())
  expect(owners.ownerOf(3)).toBeUndefined()
})

const tillOf = ({ members }: LinkedMember): Ref<TillMessages> => members.refOf(3, 'till')

/** Members that are all linked to `a`. */
const linkedTo = async (a: LinkedMember, names: readonly string[]): Promise<LinkedMember[]> => {
  const started: LinkedMember[] = []
  for (const each of names) {
    started.push(await world.start(each))
    a.members.expect(each)
  }
  await world.clock.advance(1_000)
  return started
}

test('a call with an id is repeated at the next owner before later ones, and one without is UNKNOWN_OUTCOME', async () => {
  const [a, b] = await pair()
  const [c] = (await linkedTo(a, ['c'])) as [LinkedMember]
  await durableLike(b)
  const till = await durableLike(c)
  till.answers = true
  await moved(b, true)
  const paid = [1, 2, 3].map((cents) =>
    watched(call(tillOf(a), 'pay', cents, { id: `r-${cents}` })),
  )
  const plain = watched(call(tillOf(a), 'pay', 4))
  await world.clock.advance(100)
  await b.stop()
  await world.clock.advance(100)
  expect(plain.value).toMatchObject({ code: 'UNKNOWN_OUTCOME' })
  const later = watched(call(tillOf(a), 'pay', 5, { id: 'r-5' }))
  await moved(c, true)
  expect([...paid, later].map(({ value }) => value)).toEqual([1, 2, 3, 5])
  expect(till.handled).toEqual(['r-1', 'r-2', 'r-3', 'r-5'])
})

test('a call with an id is made here, when this member becomes the owner', async () => {
  const [a, b] = await pair()
  await durableLike(b)
  const till = await durableLike(a)
  till.answers = true
  await moved(b, true)
  const paid = watched(call(tillOf(a), 'pay', 1, { id: 'r-1' }))
  await world.clock.advance(100)
  await b.stop()
  await moved(a, true)
  expect(paid.value).toBe(1)
  expect(till.handled).toEqual(['r-1'])
})

test('a call under which two owners have ended is UNKNOWN_OUTCOME, and waits for no third one', async () => {
  const [a, b] = await pair()
  const [c, d] = (await linkedTo(a, ['c', 'd'])) as [LinkedMember, LinkedMember]
  const tills = [await durableLike(b), await durableLike(c), await durableLike(d)]
  const paid = watched(call(tillOf(a), 'pay', 1, { id: 'r-1', timeoutMs: 60_000 }))
  for (const owner of [b, c]) {
    await moved(owner, true)
    expect(paid.value).toBe('pending')
    await owner.stop()
    await world.clock.advance(100)
  }
  expect(paid.value).toMatchObject({ code: 'UNKNOWN_OUTCOME', details: { shard: 3 } })
  await moved(d, true)
  expect(tills.map(({ handled }) => handled)).toEqual([['r-1'], ['r-1'], []])
})

test('a call that an owner may have handled before it left is never NOT_SUBMITTED, and its end is counted', async () => {
  const [a, b] = await pair()
  const [c, d] = (await linkedTo(a, ['c', 'd'])) as [LinkedMember, LinkedMember]
  const tills = [await durableLike(b), await durableLike(c), await durableLike(d)]
  await moved(b, true)
  const short = watched(call(tillOf(a), 'pay', 1, { id: 'r-1', timeoutMs: 1_000 }))
  const long = watched(call(tillOf(a), 'pay', 2, { id: 'r-2', timeoutMs: 60_000 }))
  await world.clock.advance(100)
  const leave = async (owner: LinkedMember): Promise<void> => {
    await moved(owner, false)
    owner.system.kill(owner.system.whereis(name('till')) as Ref)
    await world.clock.advance(1_000)
  }
  await leave(b)
  expect(short.value).toMatchObject({ code: 'TIMEOUT' })
  expect(long.value).toBe('pending')
  await moved(c, true)
  await leave(c)
  expect(long.value).toMatchObject({ code: 'UNKNOWN_OUTCOME', details: { shard: 3 } })
  await moved(d, true)
  expect(tills.map(({ handled }) => handled)).toEqual([['r-1', 'r-2'], ['r-2'], []])
})

test('a call that a member refuses which has its shard again is made there again', async () => {
  world = linkedWorld()
  const b = await world.start('b')
  const peer = new RoguePeer(world.links.connect('a', 'b'))
  peer.say(greetingOf(), ownsFrame([3]))
  await world.clock.settle()
  const paid = watched(call(tillOf(b), 'pay', 1))
  await world.clock.settle()
  const asked = () => (peer.heard as unknown[][]).filter(([kind]) => kind === linkKinds.call)
  const refused = reasonFrame(linkKinds.failed, asked()[0]?.[1] as number, movedError(3))
  peer.say(ownsFrame([]), ownsFrame([3]), refused)
  await world.clock.advance(25)
  expect(paid.value).toBe('pending')
  peer.say(replyFrame(asked()[1]?.[1] as number, 7, undefined))
  await world.clock.settle()
  expect(paid.value).toBe(7)
})

/**
 * Lets a peer refuse or return all messages, for as long as the function that is returned says. That
 * returns when each message came, in ms.
 */
const refuser = (peer: RoguePeer) => {
  let seen = 0
  const unseen = (): unknown[][] => {
    const messages = (peer.heard as unknown[][]).filter(
      ([kind]) => kind === linkKinds.call || kind === linkKinds.cast,
    )
    const later = messages.slice(seen)
    seen = messages.length
    return later
  }
  return async (forMs: number, stepMs = 25): Promise<number[]> => {
    const cameAt: number[] = []
    for (let passedMs = 0; passedMs <= forMs; passedMs += stepMs) {
      for (const [kind, id, name] of unseen()) {
        cameAt.push(passedMs)
        if (kind === linkKinds.call)
          peer.say(reasonFrame(linkKinds.failed, id as number, movedError(3)))
        else peer.say(returnedFrame(3, 'desk', 1, { name: String(name), payload: 1 }))
      }
      await world.clock.advance(stepMs)
    }
    return cameAt
  }
}

/** The distances of times. */
const pausesOf = (times: readonly number[]): number[] =>
  times.slice(1).map((time, at) => time - (times[at] as number))

describe('an owner that refuses all messages of its shard', () => {
  const stubborn = async () => {
    world = linkedWorld()
    const b = await world.start('b')
    const peer = new RoguePeer(world.links.connect('a', 'b'))
    peer.say(greetingOf(), ownsFrame([3]))
    await world.clock.settle()
    return { b, peer, refusing: refuser(peer) }
  }

  test('gets each call again after a pause that grows, and none after a minute', async () => {
    const { b, refusing } = await stubborn()
    const endless = watched(call(tillOf(b), 'pay', 1, { timeoutMs: Number.POSITIVE_INFINITY }))
    const bounded = watched(call(tillOf(b), 'pay', 2, { timeoutMs: 2_000 }))
    await world.clock.settle()
    const times = await refusing(2_100)
    expect(bounded.value).toMatchObject({ code: 'NOT_SUBMITTED', details: { shard: 3 } })
    const pauses = pausesOf([...new Set(times)])
    expect(pauses.slice(0, 5)).toEqual(pauses.slice(0, 5).toSorted((one, other) => one - other))
    expect(pauses.slice(5).every((pauseMs) => pauseMs >= 500)).toBe(true)
    expect(endless.value).toBe('pending')

    const later = await refusing(60_000, 250)
    expect(later.length).toBeLessThan(125)
    expect(endless.value).toMatchObject({ code: 'NOT_SUBMITTED', details: { shard: 3 } })
    expect(await refusing(2_000, 250)).toEqual([])
  })

  test('gets each cast again after a pause that grows', async () => {
    const { b, refusing } = await stubborn()
    cast(deskOf(b), 'note', 'returned')
    await world.clock.settle()
    const times = await refusing(3_000)

    expect(times.length).toBeGreaterThan(3)
    expect(times.length).toBeLessThan(12)
  })

  test('holds nothing up that the next owner takes', async () => {
    const { b, peer, refusing } = await stubborn()
    const paid = watched(call(tillOf(b), 'pay', 1, { timeoutMs: 10_000 }))
    await world.clock.settle()
    await refusing(2_000)
    const next = new RoguePeer(world.links.connect('aa', 'b'))
    next.say(greetingOf({ member: 'aa' }), ownsFrame([3]))
    await world.clock.settle()
    answerMonitors(peer)
    await world.clock.settle()
    const [asked] = (next.heard as unknown[][]).filter(([kind]) => kind === linkKinds.call)
    next.say(replyFrame(asked?.[1] as number, 7, undefined))
    await world.clock.settle()

    expect(paid.value).toBe(7)
  })
})

test('a call without a deadline waits a minute for an owner, and then is SHARD_DOWN', async () => {
  const [a] = await pair()
  const endless = watched(call(deskOf(a), 'echo', 1, { timeoutMs: Number.POSITIVE_INFINITY }))
  await world.clock.advance(59_000)
  expect(endless.value).toBe('pending')
  await world.clock.advance(1_000)

  expect(endless.value).toMatchObject({ code: 'SHARD_DOWN', details: { shard: 3 } })
})

test('a call without a deadline that has found its owner waits for the answer, however long', async () => {
  const [a, b] = await pair()
  await startDesk(b)
  const waits = watched(call(deskOf(a), 'later', 200_000, { timeoutMs: Number.POSITIVE_INFINITY }))
  await world.clock.advance(30_000)
  await moved(b, true)
  await world.clock.advance(199_000)
  expect(waits.value).toBe('pending')
  await world.clock.advance(1_000)

  expect(waits.value).toBe(200_000)
})

/** A member, and two peers of it. */
const twoOwners = async () => {
  world = linkedWorld()
  const b = await world.start('b')
  const [former, next] = ['a', 'aa'].map((member) =>
    new RoguePeer(world.links.connect(member, 'b')).say(greetingOf({ member })),
  ) as [RoguePeer, RoguePeer]
  await world.clock.settle()
  return { b, former, next }
}

/** The payloads of the calls and casts that a peer got. */
const askedOf = (peer: RoguePeer): string[] =>
  (peer.heard as unknown[][])
    .filter(([kind]) => kind === linkKinds.call || kind === linkKinds.cast)
    .map((frame) => String(frame.at(-1)))

/** Says that none of the monitored processes lives, or the one that is named. */
const answerMonitors = (peer: RoguePeer, only?: string): void => {
  const monitors = (peer.heard as unknown[][]).filter(([kind]) => kind === linkKinds.monitor)
  for (const [, id, target] of monitors)
    if (only === undefined || target === only)
      peer.say(reasonFrame(linkKinds.down, id as number, 'noproc'))
}

test('owners that leave in order are no owners that have ended under a call', async () => {
  world = linkedWorld()
  const b = await world.start('b')
  const peers = ['a', 'aa', 'ab', 'ac'].map((member) => {
    const peer = new RoguePeer(world.links.connect(member, 'b'))
    peer.say(greetingOf({ member, incarnation: `${member}-1` }))
    return peer
  })
  await world.clock.settle()
  const paid = watched(call(tillOf(b), 'pay', 1, { id: 'r-1' }))
  for (const [at, peer] of peers.entries()) {
    peer.say(ownsFrame([3]))
    await world.clock.settle()
    // The former owners have returned nothing.
    for (const former of peers.slice(0, at)) answerMonitors(former)
    await world.clock.settle()
    const [asked] = (peer.heard as unknown[][]).filter(([kind]) => kind === linkKinds.call)
    const id = asked?.[1] as number
    const code = (['NO_PROCESS', 'SHARD_DOWN', 'CLOSED'] as const)[at]
    if (code === undefined) peer.say(replyFrame(id, 7, undefined))
    else peer.say(ownsFrame([]), reasonFrame(linkKinds.failed, id, new KeelsonError(code, 'ends')))
    await world.clock.settle()
  }
  expect(paid.value).toBe(7)
})

test('a shard that stays after all takes calls at once, whatever its owner still has to answer', async () => {
  const [a, b] = await pair()
  await startDesk(b)
  await moved(b, true)
  const slow = watched(call(deskOf(a), 'never', undefined, { timeoutMs: 60_000 }))
  await world.clock.advance(100)
  await moved(b, false)
  const waits = watched(call(deskOf(a), 'echo', 'waited'))
  await moved(b, true)
  const later = watched(call(deskOf(a), 'echo', 'later'))
  await world.clock.advance(100)
  expect([slow, waits, later].map(({ value }) => value)).toEqual(['pending', 'waited', 'later'])
})

test('later messages wait until the casts that a former owner returns are at the next one', async () => {
  const { b, former, next } = await twoOwners()
  former.say(ownsFrame([3]))
  await world.clock.settle()
  cast(deskOf(b), 'note', 'first')
  await world.clock.settle()
  next.say(ownsFrame([3]))
  await world.clock.settle()
  cast(deskOf(b), 'note', 'second')
  watched(call(deskOf(b), 'echo', 'third'))
  await world.clock.settle()
  expect(askedOf(next)).toEqual([])
  former.say(ownsFrame([]), returnedFrame(3, 'desk', 1, { name: 'note', payload: 'first' }))
  answerMonitors(former)
  await world.clock.settle()
  expect(askedOf(next)).toEqual(['first', 'second', 'third'])
})

/** The name of no process: a member says at once that there is none, and has read what came before. */
const noName = '\0'

test('a former owner that has returned its casts holds up no later change of the owner, whatever it does', async () => {
  const { b, former, next } = await twoOwners()
  const last = new RoguePeer(world.links.connect('ab', 'b')).say(greetingOf({ member: 'ab' }))
  former.say(ownsFrame([3]))
  await world.clock.settle()
  cast(deskOf(b), 'note', 'first')
  await world.clock.settle()
  former.say(ownsFrame([]))
  next.say(ownsFrame([3]))
  await world.clock.settle()
  // This is the last that it says.
  answerMonitors(former, noName)
  await world.clock.settle()
  cast(deskOf(b), 'note', 'second')
  await world.clock.settle()
  expect(askedOf(next)).toEqual(['second'])

  next.say(ownsFrame([]))
  last.say(ownsFrame([3]))
  await world.clock.settle()
  answerMonitors(next, noName)
  await world.clock.settle()
  cast(deskOf(b), 'note', 'third')
  await world.clock.settle()
  expect(askedOf(last)).toEqual(['third'])
})

test('an owner that had the shard before is waited for as at the first time', async () => {
  const { b, former, next } = await twoOwners()
  const desk = deskOf(b)
  former.say(ownsFrame([3]))
  await world.clock.settle()
  cast(desk, 'note', 'first')
  await world.clock.settle()
  former.say(ownsFrame([]))
  next.say(ownsFrame([3]))
  await world.clock.settle()
  answerMonitors(former, noName)
  next.say(ownsFrame([]))
  former.say(ownsFrame([3]))
  await world.clock.settle()
  cast(desk, 'note', 'second')
  await world.clock.settle()
  expect(askedOf(former)).toEqual(['first', 'second'])

  former.say(ownsFrame([]))
  next.say(ownsFrame([3]))
  await world.clock.settle()
  cast(desk, 'note', 'third')
  await world.clock.settle()
  expect(askedOf(next)).toEqual([])
  former.say(returnedFrame(3, 'desk', 2, { name: 'note', payload: 'second' }))
  answerMonitors(former, noName)
  await world.clock.settle()
  expect(askedOf(next)).toEqual(['second', 'third'])
})

test('what an owner gave back waits behind a call that is lost with it, in the order of its sender', async () => {
  const { b, former, next } = await twoOwners()
  former.say(ownsFrame([3]))
  await world.clock.settle()
  watched(call(deskOf(b), 'echo', 'first', { id: 'r-1' }))
  cast(deskOf(b), 'note', 'second')
  watched(call(deskOf(b), 'echo', 'third', { id: 'r-3' }))
  await world.clock.settle()
  const [, [, , , order], [, third]] = (former.heard as unknown[][]).filter(
    ([kind]) => kind === linkKinds.call || kind === linkKinds.cast,
  ) as [unknown[], unknown[], unknown[]]
  // It leaves, and its actor is at work with the first one.
  former.say(
    ownsFrame([]),
    returnedFrame(3, 'desk', order as number, { name: 'note', payload: 'second' }),
    reasonFrame(linkKinds.failed, third as number, movedError(3)),
  )
  await world.clock.settle()
  watched(call(deskOf(b), 'echo', 'fourth'))
  former.close()
  next.say(ownsFrame([3]))
  await world.clock.settle()
  expect(askedOf(next)).toEqual(['first', 'second', 'third', 'fourth'])
})

test('calls and casts that came back to this member, which gets the shard, leave it again in their order', async () => {
  const { b, former, next } = await twoOwners()
  const own = processOf({ self: (await startDesk(b)) as Ref })
  watched(call(own.address as Ref<DeskMessages>, 'later', 60_000))
  former.say(ownsFrame([3]))
  await world.clock.settle()
  watched(call(deskOf(b), 'echo', 'first'))
  cast(deskOf(b), 'note', 'second')
  watched(call(deskOf(b), 'echo', 'third'))
  await world.clock.settle()
  const [[, first], [, , , order], [, third]] = (former.heard as unknown[][]).filter(
    ([kind]) => kind === linkKinds.call || kind === linkKinds.cast,
  ) as [unknown[], unknown[], unknown[]]
  former.say(
    ownsFrame([]),
    reasonFrame(linkKinds.failed, first as number, movedError(3)),
    returnedFrame(3, 'desk', order as number, { name: 'note', payload: 'second' }),
    reasonFrame(linkKinds.failed, third as number, movedError(3)),
  )
  await world.clock.settle()
  b.members.own(3, true)
  await world.clock.settle()
  answerMonitors(former)
  await world.clock.settle()
  // Its actor here has handled none of them when the shard leaves this member, too.
  b.members.own(3, false)
  const { mailbox } = own
  for (let each = mailbox.shift(); each; each = mailbox.shift()) b.members.pass(3, 'desk', each)
  next.say(ownsFrame([3]))
  await world.clock.settle()
  expect(askedOf(next)).toEqual(['first', 'second', 'third'])
})

test('casts that wait for room to a former owner go to the next one, before later messages', {
  tags: ['slow'],
}, async () => {
  const { b, former, next } = await twoOwners()
  former.say(ownsFrame([3]))
  await world.clock.settle()
  world.links.pause('a')
  for (let each = 0; each < 50; each++) {
    cast(deskOf(b), 'note', `${each} ${'-'.repeat(300_000)}`)
    await world.clock.settle()
  }
  former.say(ownsFrame([]))
  next.say(ownsFrame([3]))
  await world.clock.settle()
  watched(call(deskOf(b), 'echo', '50'))
  // What was on its way is lost with the link.
  former.close()
  await world.clock.settle()
  const came = askedOf(next).map((text) => Number(text.split(' ')[0]))
  expect(came.length).toBeGreaterThan(2)
  expect(came).toEqual(came.map((_, at) => 51 - came.length + at))
})

test('what waits for room when the actor elsewhere comes to rest goes to the next one of its name', async () => {
  world = linkedWorld()
  const b = await world.start('b')
  const peer = new RoguePeer(world.links.connect('a', 'b'))
  peer.say(greetingOf(), ownsFrame([3]))
  await world.clock.settle()
  const outcomes = [watched(call(tillOf(b), 'pay', 0))]
  await world.clock.settle()
  const monitors = (peer.heard as unknown[][]).filter(([kind]) => kind === linkKinds.monitor)
  world.links.pause('a')
  // What the system takes, and then more than the link does.
  for (let each = 0; each < 2; each++) {
    cast(deskOf(b), 'note', Buffer.alloc(300_000))
    await world.clock.settle()
  }
  for (let cents = 1; cents <= 1_100; cents++) outcomes.push(watched(call(tillOf(b), 'pay', cents)))
  await world.clock.settle()
  peer.say(reasonFrame(linkKinds.down, monitors[0]?.[1] as number, 'noproc'))
  await world.clock.settle()
  expect(outcomes.filter(({ value }) => value !== 'pending')).toEqual([])
  world.links.resume('a')
  await world.clock.settle()

  const paid = (peer.heard as unknown[][]).filter(([kind]) => kind === linkKinds.call)
  expect(paid.map((frame) => frame.at(-1))).toEqual(outcomes.map((_, cents) => cents))
})
