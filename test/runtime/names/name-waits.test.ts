/**
 * A call with `waitForName` waits until a process has the name, within its own timeout, and leaves
 * nothing behind.
 */
import { getEventListeners } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type Context,
  call,
  getState,
  name,
  Registry,
  startSupervisor,
  supervisor,
  via,
  worker,
} from '../../../src/runtime/index.ts'
import { RegistryTable } from '../../../src/runtime/names/registry-table.ts'
import type { ProcessSystem } from '../../../src/runtime/server/system.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'
import { type Member, type Messages, member, rooms, run, withRegistry } from './rooms.ts'

const wait = { waitForName: true } as const
const echoName = name<Echo.Messages>('echo')

/** What became of each promise so far: its value, its code, or nothing. */
const outcomes = (promises: readonly Promise<unknown>[]): unknown[] => {
  const found: unknown[] = Array(promises.length).fill(undefined)
  for (const [at, promise] of promises.entries())
    promise.then(
      (value) => (found[at] = value),
      (error) => (found[at] = error?.code ?? error),
    )
  return found
}

describe('a call with waitForName', () => {
  test('is answered by the process that gets the name, and is sent no sooner', async () => {
    const { system, clock, settle, advance } = testSystem()
    const found = outcomes([
      call(system.to(echoName), 'echo', 1, wait),
      call(system.to(echoName), 'echo', 2, wait),
      call(system.to(echoName), 'echo', 3),
    ])
    await advance(4_999)
    expect(found).toEqual([undefined, undefined, 'NO_PROCESS'])
    const before = clock.monotonic()

    await system.start(Echo.server, undefined, { name: echoName })
    await settle()

    expect([found, clock.monotonic()]).toEqual([[1, 2, 'NO_PROCESS'], before])
  })

  test('bridges the restart of a killed child', async () => {
    const { system } = testSystem()
    const child = worker('echo', Echo.server, undefined, { name: echoName })
    await startSupervisor(system, supervisor('sup', { strategy: 'one_for_one' }, [child]))
    const first = system.whereis(echoName)

    system.kill(echoName)

    expect(await call(system.to(echoName), 'echo', 'again', wait)).toBe('again')
    expect(system.whereis(echoName)).not.toBe(first)
    system.kill(echoName)
    expect(await getState(system.to(echoName), wait)).toMatchObject({ notes: [] })
  })

  test('waits again when the process is gone before its message', async () => {
    const { system, settle } = testSystem()
    const found = outcomes([call(system.to(echoName), 'echo', 1, wait)])

    system.spawn(() => undefined, { name: echoName })
    system.kill(echoName)
    await settle()
    expect(found).toEqual([undefined])
    await system.start(Echo.server, undefined, { name: echoName })
    await settle()

    expect(found).toEqual([1])
  })

  test('is NO_PROCESS when the time is up, and its answer has what the wait left of it', async () => {
    const { system, advance } = testSystem()
    const late = call(system.to(echoName), 'echo', 1, { ...wait, timeoutMs: 50 })
    await Promise.all([
      expect(late).rejects.toMatchObject({
        code: 'NO_PROCESS',
        details: { reason: 'noproc', timeoutMs: 50 },
      }),
      advance(50),
    ])
    const found = outcomes([call(system.to(echoName), 'keep', 'a', { ...wait, timeoutMs: 100 })])
    await advance(60)
    await system.start(Echo.server, undefined, { name: echoName })
    await advance(39)
    expect(found).toEqual([undefined])
    await advance(1)
    expect(found).toEqual(['TIMEOUT'])
  })

  test('ends with its signal and with its caller, and leaves no timer and no listener', async () => {
    const { system, settle } = testSystem()
    const controller = new AbortController()
    const { signal } = controller
    const caller = await system.start(member)
    const own = await run(caller, (context: Context<Messages>) =>
      outcomes([
        call(context.to(echoName), 'echo', 1, wait),
        call(context.to(echoName), 'echo', 1, { ...wait, timeoutMs: Number.POSITIVE_INFINITY }),
      ]),
    )
    const found = outcomes([
      call(system.to(echoName), 'echo', 1, { ...wait, signal }),
      call(system.to(echoName), 'echo', 1, { ...wait, signal: AbortSignal.abort('early') }),
    ])
    await settle()
    expect([own, found]).toEqual([
      [undefined, undefined],
      [undefined, 'early'],
    ])

    system.kill(caller)
    controller.abort('enough')
    await settle()

    expect([own, found]).toEqual([
      ['EXITED', 'EXITED'],
      ['enough', 'early'],
    ])
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect((system as ProcessSystem).timers.size).toBe(0)
    await system.start(Echo.server, undefined, { name: echoName })
    expect(system.info(echoName)?.handled).toBe(1)
  })

  test('of a ref of a process waits for nothing: it never gets another process', async () => {
    const { system } = testSystem()
    const echo = await system.start(Echo.server, undefined, { name: echoName })
    system.kill(echo)

    await expect(call(echo, 'echo', 1, wait)).rejects.toMatchObject({ code: 'NO_PROCESS' })
  })

  test('is refused with another value', async () => {
    const { system } = testSystem()
    // @ts-expect-error: true or false
    const wrong = call(system.to(echoName), 'echo', 1, { waitForName: 'yes' })

    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('a call with waitForName to a name through a registry', () => {
  test.each([['a text'], [['desk', 1]], [undefined]])(
    'is answered by who registers the key: %s',
    async (key) => {
      const { system, clock, start, register } = await withRegistry('unique')
      const lobby = system.to(via(rooms, key))
      const found = outcomes([call(lobby, 'heard', undefined, wait)])
      const [holder, other] = (await Promise.all([start(), start()])) as [Member, Member]

      await register(other, ['desk', 2], 0)
      await register(other, 'another', 0)
      expect(found).toEqual([undefined])
      await register(holder, key, 0)
      await clock.settle()

      expect(found).toEqual([[]])
    },
  )

  test('looks again only when its own key is registered', async () => {
    const { system, clock, start, register } = await withRegistry('unique')
    const found = outcomes(
      [1, 2, 3].map((n) => call(system.to(via(rooms, ['room', n])), 'heard', undefined, wait)),
    )
    const holder = await start()
    const looks = vi.spyOn(RegistryTable.prototype, 'holderOf')
    onTestFinished(() => looks.mockRestore())

    await register(holder, ['room', 4], 0)
    await register(holder, { room: 1 }, 0)

    expect(looks.mock.calls).toEqual([[['room', 4]], [{ room: 1 }]])
    await register(holder, ['room', 2], 0)
    await clock.settle()
    expect(found).toEqual([undefined, [], undefined])
  })

  test('waits for the registry too, and is not answered through another one', async () => {
    const { system, settle } = testSystem()
    const lobby = via(rooms, 'lobby')
    const found = outcomes([call(system.to(lobby), 'heard', undefined, wait)])
    const registry = await Registry.start<unknown, unknown, Messages>(system, { keys: 'unique' })
    const holder = await system.start(member, undefined, { name: via(registry, 'lobby') })
    await settle()
    expect([found, system.whereis(lobby)]).toEqual([[undefined], undefined])

    system.kill(registry)
    system.kill(holder)
    await Registry.start(system, { keys: 'unique', name: rooms })
    await system.start(member, undefined, { name: lobby })
    await settle()

    expect(found).toEqual([[]])
  })

  test('refuses a registry whose keys are not unique', async () => {
    const { system } = await withRegistry('duplicate')

    await expect(
      call(system.to(via(rooms, 'lobby')), 'heard', undefined, wait),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
