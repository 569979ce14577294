/** A process at another member answers, and is watched, as one here. */
import { afterEach, describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  call,
  cast,
  type Directory,
  name,
  type Process,
  type Ref,
  refOfName,
  send,
} from '../../../src/runtime/index.ts'
import type { Reach } from '../../../src/supervisors/app/member-links.ts'
import {
  type DeskMessages,
  deskAt,
  type LinkedWorld,
  linkedWorld,
  startDesk,
} from '../../support/worlds/linked-members.ts'

let world: LinkedWorld
afterEach(() => world.close())

const linked = async (given?: Parameters<typeof linkedWorld>[0]) => {
  world = linkedWorld(given)
  const [a, b] = await world.pair()
  await startDesk(b)
  return { a, b, desk: deskAt(a) }
}

/** The outcome of a promise, once the world has come to rest. */
const outcome = async (promise: Promise<unknown>): Promise<unknown> => {
  let settled: unknown = 'pending'
  promise.then(
    (value) => {
      settled = value
    },
    (error) => {
      settled = error
    },
  )
  await world.clock.settle()
  return settled
}

const expectCode = (error: unknown, code: string): void =>
  expect(error).toMatchObject({ name: 'KeelsonError', code })

const facts = (error: unknown) => {
  expect(error).toBeInstanceOf(KeelsonError)
  const { code, details } = error as KeelsonError
  return { code, reason: details.reason }
}

describe('a call to a process at another member', () => {
  test('is answered with an equal value, whatever can be stored', async () => {
    const { desk } = await linked()
    const value = {
      map: new Map([['k', new Set([1n])]]),
      ...{ at: new Date(5), bytes: Buffer.of(1, 2), none: null, zero: -0, nan: Number.NaN },
    }
    expect(await outcome(call(desk, 'echo', value))).toEqual(value)
    expect(await outcome(call(desk, 'echo'))).toBeUndefined()
    expect(await outcome(call(desk, 'echo', 'text'))).toBe('text')
  })

  test('to one that cannot be woken fails alone, and so does its monitor: the link goes on', async () => {
    world = linkedWorld()
    const fails = (): never => {
      throw new KeelsonError('CLOSED', 'broken')
    }
    const broken: Record<string, Pick<Directory<Process>, 'holderOf' | 'wake'>> = {
      asleep: { holderOf: () => undefined, wake: fails },
      unseen: { holderOf: fails },
    }
    const reach: Reach = (target) => {
      const how = broken[target]
      if (how === undefined) return b.system.to(name(target))
      return refOfName(b.system, target, (names) => ({
        ...{ absence: 'noproc', ...how, awaitHolder: (...given) => names.awaitHolder(...given) },
      }))
    }
    const [a, b] = [await world.start('a'), await world.start('b', { reach })] as const
    a.members.expect('b')
    await world.clock.advance(1_000)
    await startDesk(b)
    const later = call(deskAt(a), 'later', 50)
    expectCode(await outcome(call(deskAt(a, 'b', 'asleep'), 'echo')), 'CLOSED')
    let reason: unknown
    a.system.monitor(deskAt(a, 'b', 'unseen'), (found) => {
      reason = found
    })
    await world.clock.settle()
    expectCode(reason, 'CLOSED')
    await world.clock.advance(100)
    expect(await outcome(later)).toBe(50)
  })

  test('with a payload that cannot be stored is refused here, and names the place', async () => {
    const { desk } = await linked()
    const error = await outcome(call(desk, 'echo', { deep: [() => 1] }))
    expectCode(error, 'INVALID_ARGUMENT')
    expect((error as KeelsonError).details.path).toEqual(['deep', 0])
    expect(await outcome(call(desk, 'seen'))).toEqual([])
  })

  test('fails with the code, the details and the message of the error there', async () => {
    const { a, b, desk } = await linked()
    const failing = call(desk, 'fail', 'broken')
    const error = (await outcome(failing)) as KeelsonError
    expectCode(error, 'EXITED')
    expect(error.cause).toMatchObject({ message: 'broken' })
    expect(error.details).toMatchObject({ message: 'fail', reason: { message: 'broken' } })
    expect(b.system.whereis('desk' as never)).toBeUndefined()
    expect(facts(await outcome(call(desk, 'echo')))).toEqual({
      code: 'NO_PROCESS',
      reason: 'noproc',
    })
    expect(facts(await outcome(call(deskAt(a, 'b', 'nobody'), 'echo')))).toEqual({
      ...{ code: 'NO_PROCESS', reason: 'noproc' },
    })
  })

  test('takes its time with it: both sides give it up at the deadline', async () => {
    const { b, desk } = await linked()
    const late = call(desk, 'never', undefined, { timeoutMs: 1_000 })
    late.catch(() => undefined)
    await world.clock.advance(999)
    expect(await outcome(late)).toBe('pending')
    await world.clock.advance(2)
    expectCode(await outcome(late), 'TIMEOUT')
    expect(b.system.info('desk' as never)).toMatchObject({ mailbox: 0 })
  })

  test('that is not answered in time names the process there, and the handler that is pending', async () => {
    const { desk } = await linked()
    const since = world.clock.now()
    call(desk, 'later', 60_000, { timeoutMs: 70_000 }).catch(() => undefined)
    const late = call(desk, 'echo', 1, { timeoutMs: 5_000 })
    late.catch(() => undefined)
    await world.clock.advance(5_000)
    const error = await outcome(late)
    const started = new Date(since).toISOString()
    expect(error).toMatchObject({
      message: `echo: no answer from desk at b within 5000 ms: it handles call later since ${started}`,
      details: { handling: { message: 'call later', since } },
    })
  })

  test('is given up when its signal aborts, and when its caller ends', async () => {
    const { a, b, desk } = await linked()
    const controller = new AbortController()
    const { signal } = controller
    const forEver = { timeoutMs: Number.POSITIVE_INFINITY }
    const aborted = call(desk, 'never', undefined, { signal, ...forEver })
    aborted.catch(() => undefined)
    await world.clock.settle()
    controller.abort(new Error('no longer'))
    expect(await outcome(aborted)).toMatchObject({ message: 'no longer' })
    const caller = a.system.spawn(async (context: { call: typeof call }) => {
      await context.call(desk, 'never', undefined, forEver)
    }) as Ref
    await world.clock.settle()
    expect(b.members.status).toMatchObject([{ member: 'a', asked: 1 }])
    const answered = b.members.answered()
    expect(await outcome(answered)).toBe('pending')
    a.system.kill(caller)
    await world.clock.settle()
    expect(await outcome(answered)).toBeUndefined()
    expect(a.members.status).toMatchObject([{ member: 'b', calls: 0 }])
    expect(b.members.status).toMatchObject([{ member: 'a', asked: 0 }])
  })

  test('with an id is refused by a process that is not durable, as here', async () => {
    const { desk } = await linked()
    expectCode(await outcome(call(desk, 'echo', 1, { id: 'r-1' })), 'INVALID_ARGUMENT')
    expectCode(await outcome(call(desk, 'echo', 1, { position: true })), 'INVALID_ARGUMENT')
  })

  test('that waits for a name waits for it there', async () => {
    const { a, b } = await linked()
    const waiting = call(deskAt(a, 'b', 'later'), 'echo', 7, { waitForName: true })
    expect(await outcome(waiting)).toBe('pending')
    await startDesk(b, 'later')
    expect(await outcome(waiting)).toBe(7)
  })

  test('is too large beyond 8 MiB, and so is its answer', { tags: ['slow'] }, async () => {
    const { desk } = await linked()
    expectCode(await outcome(call(desk, 'echo', Buffer.alloc(8 * 1024 * 1024))), 'TOO_LARGE')
    expect(await outcome(call(desk, 'echo', 'small'))).toBe('small')
  })
})

describe('messages to a process at another member', () => {
  test('of one sender keep their order: casts, infos and calls, also past delays and pieces', {
    tags: ['slow'],
  }, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      world = linkedWorld({ seed, delayMs: 20 })
      const [a, b] = await world.pair()
      await startDesk(b)
      const desk = deskAt(a)
      for (let at = 0; at < 300; at += 2) {
        expect(cast(desk, 'note', at)).toBe(true)
        expect(send(desk, 'noted', at + 1)).toBe(true)
      }
      const seen = call(desk, 'seen')
      await world.clock.advance(1_000)
      expect(await seen).toEqual(Array.from({ length: 300 }, (_, at) => at))
      await world.close()
    }
  })

  test('of one turn leave in one write', async () => {
    const { a, desk } = await linked()
    await outcome(call(desk, 'echo', 1))
    const before = world.links.writes
    for (let at = 0; at < 500; at++) cast(desk, 'note', at)
    await world.clock.settle()
    expect(world.links.writes - before).toBe(1)
    expect(a.members.status).toMatchObject([{ messages: 0, bytes: 0 }])
  })

  test('that cannot be stored are dropped, with a line in the log', async () => {
    const { a, desk } = await linked()
    expect(cast(desk, 'note', () => 1)).toBe(true)
    expect(cast(desk, 'note', 2)).toBe(true)
    expect(await outcome(call(desk, 'seen'))).toEqual([2])
    expect(a.log.messages('error')).toHaveLength(1)
  })
})

describe('a monitor of a process at another member', () => {
  test('fires with its reason when it ends there', async () => {
    const { a, desk } = await linked()
    const reasons: unknown[] = []
    a.system.monitor(desk as Ref, (reason) => reasons.push(reason))
    await world.clock.settle()
    expect(reasons).toEqual([])
    cast(desk, 'end', ['shutdown', 'done'])
    await world.clock.settle()
    expect(reasons).toEqual([['shutdown', 'done']])
  })

  test('fires with noproc for a name that nobody has, and with noconnection without a link', async () => {
    const { a } = await linked()
    const reasons: unknown[] = []
    const note = (reason: unknown) => void reasons.push(reason)
    a.system.monitor(deskAt(a, 'b', 'nobody') as Ref, note)
    await world.clock.settle()
    a.system.monitor(deskAt(a, 'zebra') as Ref, note)
    expect(reasons).toEqual(['noproc', 'noconnection'])
  })

  test('fires with noconnection when the link ends, and links do', async () => {
    const { a, desk } = await linked()
    const seen: unknown[] = []
    a.system.spawn(async (context: BareContext) => {
      context.trapExit(true)
      context.link(desk)
      context.monitor(desk)
      for (let count = 0; count < 2; count++) {
        const message = await context.receive()
        seen.push([message?.kind, message && 'reason' in message && message.reason])
      }
    })
    await world.clock.settle()
    world.links.part('a', 'b')
    await world.clock.settle()
    expect(seen).toEqual([
      ['exit', 'noconnection'],
      ['down', 'noconnection'],
    ])
  })

  test('is ended there when nobody needs it: a forwarder without messages rests', async () => {
    const { a, b, desk } = await linked()
    await outcome(call(desk, 'echo', 1))
    const forwarders = () => a.system.processes().filter(({ kind }) => kind === 'forwarder').length
    expect(forwarders()).toBe(1)
    const watched = a.system.monitor(desk as Ref, () => undefined)
    await world.clock.advance(200_000)
    expect(forwarders()).toBe(1)
    watched()
    await world.clock.advance(200_000)
    expect(forwarders()).toBe(0)
    expect(b.system.info(b.system.whereis('desk' as never) as Ref)).toBeDefined()
    expect(await outcome(call(desk, 'echo', 2))).toBe(2)
  })
})

describe('without a link', () => {
  test('a call says so at once, a cast is refused, and a call that waits for the name waits for it', async () => {
    world = linkedWorld()
    const a = await world.start('a')
    const desk = deskAt(a)
    expect(facts(await outcome(call(desk, 'echo')))).toEqual({
      code: 'NO_PROCESS',
      reason: 'noconnection',
    })
    expect(cast(desk, 'note', 1)).toBe(false)
    expect(() => send(desk, 'noted', 1)).toThrow(KeelsonError)
    const waiting = call(desk, 'echo', 5, { waitForName: true, timeoutMs: 10_000 })
    const tired = call(desk, 'echo', 5, { waitForName: true, timeoutMs: 100 })
    tired.catch(() => undefined)
    await world.clock.advance(200)
    expectCode(await outcome(tired), 'NO_PROCESS')
    const b = await world.start('b')
    await startDesk(b)
    await world.clock.advance(2_000)
    expect(await outcome(waiting)).toBe(5)
  })

  test('a name of this member means a process here', async () => {
    const { b } = await linked()
    expect(await outcome(call(deskAt(b, 'b'), 'echo', 3))).toBe(3)
  })

  test.each(['', 'x'.repeat(1_025), 7])('no ref is made of the name %s', async (name) => {
    const { a } = await linked()
    expect(() => a.members.at('b').ref<DeskMessages>(name as string)).toThrow(KeelsonError)
    expect(() => a.members.at('no name')).toThrow(KeelsonError)
  })

  test('a name that is no member is none by a ref of it', async () => {
    const { a } = await linked()
    const before = a.members.others
    const ref = a.members.at('nobody').ref<DeskMessages>('desk')
    expect(await outcome(call(ref, 'echo', 3))).toMatchObject({ code: 'NO_PROCESS' })
    expect(a.members.others).toEqual(before)
  })
})
