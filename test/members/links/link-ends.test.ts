/** What becomes of calls and messages when the link to a member ends: each settles, once. */
import { afterEach, describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { call, cast, name, type Ref, tiesOf } from '../../../src/runtime/index.ts'
import {
  type DeskMessages,
  deskAt,
  durableLike,
  type LinkedMember,
  type LinkedWorld,
  linkedWorld,
  startDesk,
  type TillMessages,
} from '../../support/worlds/linked-members.ts'

let world: LinkedWorld
afterEach(() => world.close())

const linked = async () => {
  world = linkedWorld()
  const [a, b] = await world.pair()
  await startDesk(b)
  return { a, b, desk: deskAt(a) }
}

/** Lets `b` read nothing, and fills what the system takes: what follows does not leave. */
const clog = async (desk: Ref<DeskMessages>): Promise<void> => {
  world.links.pause('b')
  for (let count = 0; count < 2; count++) {
    cast(desk, 'note', Buffer.alloc(300_000))
    await world.clock.settle()
  }
}

type Outcome = { readonly code?: string; readonly reason?: unknown; readonly value?: unknown }

/** Notes how each promise settles, and that it does so once. */
const noted = (promise: Promise<unknown>): Outcome[] => {
  const outcomes: Outcome[] = []
  promise.then(
    (value) => outcomes.push({ value }),
    ({ code, details }: KeelsonError) => outcomes.push({ code, reason: details.reason }),
  )
  return outcomes
}

describe('when a link ends', () => {
  test('a call that was sent is UNKNOWN_OUTCOME, at once', async () => {
    const { desk } = await linked()
    const outcomes = noted(call(desk, 'never', undefined, { timeoutMs: 60_000 }))
    await world.clock.settle()
    world.links.cut('a', 'b')
    await world.clock.settle()
    expect(outcomes).toEqual([{ code: 'UNKNOWN_OUTCOME', reason: 'noconnection' }])
  })

  test('a call that has not left is sent over the next link, before later ones', async () => {
    const { desk } = await linked()
    await clog(desk)
    const first = noted(call(desk, 'echo', 'first'))
    await world.clock.settle()
    world.links.cut('a', 'b')
    await world.clock.settle()
    expect(first).toEqual([])
    const second = noted(call(desk, 'echo', 'second', { waitForName: true }))
    await world.clock.advance(1_000)
    expect([first, second]).toEqual([[{ value: 'first' }], [{ value: 'second' }]])
  })

  test('a call that has not left is NOT_SUBMITTED when its time ends before there is another', async () => {
    const { desk } = await linked()
    await clog(desk)
    const outcomes = noted(call(desk, 'echo', 1, { timeoutMs: 300 }))
    await world.clock.settle()
    world.links.part('a', 'b')
    await world.clock.advance(299)
    expect(outcomes).toEqual([])
    await world.clock.advance(2)
    expect(outcomes).toEqual([{ code: 'NOT_SUBMITTED', reason: 'noconnection' }])
  })

  test('a call with an id is repeated, and its repeat is answered from what is remembered', async () => {
    const { a, b, desk } = await linked()
    const till = await durableLike(b)
    const outcomes = [1, 2, 3].map((cents) =>
      noted(call(a.members.at('b').ref<TillMessages>('till'), 'pay', cents, { id: `r-${cents}` })),
    )
    const other = noted(call(desk, 'never'))
    await world.clock.settle()
    expect(till.handled).toEqual(['r-1', 'r-2', 'r-3'])
    world.links.part('a', 'b')
    await world.clock.settle()
    expect(outcomes).toEqual([[], [], []])
    expect(other).toEqual([{ code: 'UNKNOWN_OUTCOME', reason: 'noconnection' }])
    till.answers = true
    world.links.heal()
    await world.clock.advance(2_000)
    expect(outcomes).toEqual([[{ value: 1 }], [{ value: 2 }], [{ value: 3 }]])
    expect(till.handled.slice(3)).toEqual(['r-1', 'r-2', 'r-3'])
  })

  test('a call with an id that was sent is in doubt when its time ends: TIMEOUT', async () => {
    const { a, b } = await linked()
    await durableLike(b)
    const till = a.members.at('b').ref<TillMessages>('till')
    const outcomes = noted(call(till, 'pay', 5, { id: 'r-5', timeoutMs: 400 }))
    await world.clock.settle()
    world.links.part('a', 'b')
    await world.clock.advance(500)
    expect(outcomes).toEqual([{ code: 'TIMEOUT', reason: 'timeout' }])
  })

  test('and this member stops, calls that wait for another link settle too', async () => {
    const { a, b, desk } = await linked()
    await durableLike(b)
    const till = a.members.at('b').ref<TillMessages>('till')
    const sent = noted(call(till, 'pay', 5, { id: 'r-5', timeoutMs: 60_000 }))
    await world.clock.settle()
    await clog(desk)
    const unsent = noted(call(desk, 'echo', 1, { timeoutMs: 60_000 }))
    await world.clock.settle()
    world.links.part('a', 'b')
    await world.clock.settle()
    await a.stop()
    await world.clock.settle()
    expect([sent, unsent]).toEqual([
      [{ code: 'UNKNOWN_OUTCOME', reason: 'noconnection' }],
      [{ code: 'NOT_SUBMITTED', reason: 'noconnection' }],
    ])
  })

  test('the process of the link may be killed: it is as a cut, and there is another link', async () => {
    const { a, desk } = await linked()
    const outcomes = noted(call(desk, 'never', undefined, { timeoutMs: 60_000 }))
    await world.clock.settle()
    const link = a.system.processes().find(({ kind }) => kind === 'link')
    a.system.kill(link?.ref as Ref)
    await world.clock.settle()
    expect(outcomes).toEqual([{ code: 'UNKNOWN_OUTCOME', reason: 'noconnection' }])
    await world.clock.advance(1_000)
    expect(noted(call(desk, 'echo', 1))).toEqual([])
    await world.clock.settle()
    expect(a.members.status).toMatchObject([{ member: 'b', calls: 0 }])
  })

  test('and its process is killed, calls that it has not taken are sent over the next one', async () => {
    const { a, desk } = await linked()
    await clog(desk)
    const outcomes = Array.from({ length: 1_100 }, (_, at) =>
      noted(call(desk, 'echo', at, { timeoutMs: 60_000 })),
    )
    await world.clock.settle()
    a.system.kill(a.system.processes().find(({ kind }) => kind === 'link')?.ref as Ref)
    await world.clock.advance(2_000)
    expect(outcomes).toEqual(outcomes.map((_, at) => [{ value: at }]))
  })

  test('the member there monitors nothing for it any longer', async () => {
    const { b, desk } = await linked()
    await call(desk, 'echo', 1)
    const own = b.system.whereis(name('desk')) as Ref
    expect(tiesOf(own, 0).monitoredBy.count).toBe(1)
    world.links.part('a', 'b')
    await world.clock.settle()
    expect(tiesOf(own, 0).monitoredBy.count).toBe(0)
  })

  test('the member there gives up what was called over it', async () => {
    const { b, desk } = await linked()
    noted(call(desk, 'never', undefined, { timeoutMs: Number.POSITIVE_INFINITY }))
    const waiting = call(desk, 'echo', 1, {
      timeoutMs: Number.POSITIVE_INFINITY,
      waitForName: true,
    })
    await expect(waiting).resolves.toBe(1)
    const held = noted(
      call(deskLater(b), 'echo', 1, { waitForName: true, timeoutMs: Number.POSITIVE_INFINITY }),
    )
    world.links.part('a', 'b')
    await world.clock.settle()
    await startDesk(b, 'later')
    await world.clock.settle()
    expect(held).toEqual([{ value: 1 }])
  })

  test('of two members that start at the same time there is one connection, and one after a cut', async () => {
    world = linkedWorld({ seed: 3, delayMs: 30 })
    const members: LinkedMember[] = []
    for (const each of ['a', 'b', 'c', 'd']) members.push(await world.start(each))
    for (const { members: known } of members)
      for (const each of ['a', 'b', 'c', 'd']) known.expect(each)
    await world.clock.advance(3_000)
    expect(world.links.connections).toBe(6)
    world.links.cut()
    await world.clock.advance(3_000)
    expect(world.links.connections).toBe(6)
    for (const { members: known } of members) expect(known.status).toHaveLength(3)
  })
})

const deskLater = ({ system }: LinkedMember) =>
  system.to(name<never>('later')) as ReturnType<typeof deskAt>
