/** A wait settles once, by its outcome, its time limit or the end of its process; and what is told of a process. */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  call,
  cast,
  type GenServer,
  noReply,
  type Ref,
  reply,
  resume,
  suspend,
} from '../../../src/runtime/index.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { Wait } from '../../../src/runtime/process/wait.ts'
import { type Address, addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'

/** A process with timers that are fired by hand. */
const owner = (alive = true) => {
  const timers = new Map<unknown, number>()
  const kernel = {
    timers: {
      add: (entry: unknown, ms: number) => timers.set(entry, ms),
      remove: (entry: unknown) => timers.delete(entry),
    },
  }
  const made = new Set<unknown>()
  const process = { alive, reason: 'gone', made, kernel } as unknown as Process
  return { process, timers, made }
}

describe('a wait', () => {
  test('settles once, and leaves nothing behind', async () => {
    const { process, timers, made } = owner()
    const wait = new Wait<number>(process)
    wait.limit(50, () => undefined)
    expect([[...timers.values()], made.has(wait)]).toEqual([[50], true])
    expect([wait.resolve(1), wait.resolve(2), wait.reject(new Error('late'))]).toEqual([
      ...[true, false, false],
    ])
    expect([timers.size, made.size, await wait.promise]).toEqual([0, 0, 1])
    wait.limit(50, () => undefined)
    expect(timers.size).toBe(0)
  })

  test('that has failed does not succeed later', async () => {
    const wait = new Wait<number>(owner().process)
    expect([wait.reject(new Error('no')), wait.resolve(1), wait.reject(new Error('2'))]).toEqual([
      ...[true, false, false],
    ])
    await expect(wait.promise).rejects.toThrow('no')
  })

  test('calls its last limit, and goes on', async () => {
    const wait = new Wait<number>(owner().process)
    const told: string[] = []
    wait.fire()
    for (const name of ['first', 'second']) wait.limit(1, () => told.push(name))
    wait.fire()
    expect([told, wait.resolve(3), await wait.promise]).toEqual([['second'], true, 3])
  })

  test('ends with its process, at once if that has ended', async () => {
    const ended = { code: 'EXITED', details: { reason: 'gone' } }
    const wait = new Wait<number>(owner().process)
    wait.makerEnded()
    await expect(wait.promise).rejects.toMatchObject(ended)
    await expect(new Wait<number>(owner(false).process).promise).rejects.toMatchObject(ended)
  })
})

type Told = { calls: { wait: () => void; get: () => number }; casts: { note: () => void } }
let release: () => void = () => undefined
const server: GenServer<Told, number> = {
  init: () => 0,
  calls: {
    wait: async (state) => {
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return reply(undefined, state)
    },
    get: (state) => reply(state, state),
  },
  casts: { note: (state) => noReply(state + 1) },
}

describe('what is told of a process', () => {
  test('is whether it waits, may run, is busy or suspended', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(server, undefined)
    const status = () => system.info(ref)?.status
    expect(status()).toBe('waiting')
    cast(ref, 'note')
    expect(status()).toBe('runnable')
    await clock.settle()
    const waiting = call(ref, 'wait')
    await clock.settle()
    expect([status(), system.info(ref)?.handling?.message]).toEqual(['busy', expect.any(String)])
    release()
    await waiting
    await suspend(ref)
    expect([status(), system.info(ref)?.handling]).toEqual(['suspended', undefined])
    cast(ref, 'note')
    expect(status()).toBe('suspended')
    await resume(ref)
    expect(status()).not.toBe('suspended')
    expect(await call(ref, 'get')).toBe(2)
  })

  test('is whom it monitors, and who monitors it', async () => {
    const { system, clock } = testSystem()
    const watching: GenServer<Pick<Told, 'casts'>, number, Ref> = {
      init: (target, context) => {
        context.monitor(target)
        return 0
      },
      casts: { note: (state) => noReply(state) },
    }
    const watched = await system.start(server, undefined)
    const watcher = await system.start(watching, watched)
    await clock.settle()
    const [one, other] = [system.info(watched), system.info(watcher)]
    expect([one?.monitors, one?.monitoredBy]).toEqual([[], [other?.pid]])
    expect([other?.monitors, other?.monitoredBy]).toEqual([[one?.pid], []])
  })
})

test('a full mailbox says once that it is high, however much it refuses', async () => {
  const { system, clock } = testSystem()
  const ref = await system.start(server, undefined, { mailboxMax: 4 })
  void call(ref, 'wait').catch(() => undefined)
  await clock.settle()
  const told: unknown[] = []
  system.events.on('mailbox.high', ({ depth, mailboxMax }) => told.push([depth, mailboxMax]))
  for (let at = 0; at < 12; at++) cast(ref, 'note')
  expect(told).toEqual([[2, 4]])
  release()
  await clock.settle()
  expect(await call(ref, 'get')).toBe(4)
})

/** The process of a ref. */
const processOf = (ref: Ref): Process => (addressOf(ref) as Address<Process>).resolve() as Process

test('a process that refuses the calls of users answers sys', async () => {
  const { system } = testSystem()
  const ref = await system.start(server, undefined)
  processOf(ref).refusal = () => new KeelsonError('BUSY', 'not now')
  await expect(call(ref, 'get')).rejects.toMatchObject({ code: 'BUSY' })
  await suspend(ref)
  expect(system.info(ref)?.status).toBe('suspended')
  processOf(ref).refusal = undefined
  await resume(ref)
  expect(await call(ref, 'get')).toBe(0)
})

test('a call that was answered is owed by nobody, also when it is handed on', async () => {
  const { system } = testSystem()
  const other = await system.start(server, undefined)
  const handing: GenServer<{ calls: { ask: () => number } }, null> = {
    init: () => null,
    calls: {
      ask: (state, _, { from }) => {
        from.reply(7)
        from.handTo(other)
        return noReply(state)
      },
    },
  }
  const ref = await system.start(handing, undefined)
  expect(await call(ref, 'ask')).toBe(7)
  expect(processOf(other).owed.first).toBeUndefined()
})
