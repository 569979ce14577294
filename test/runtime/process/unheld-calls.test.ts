/** Calls that nobody awaits: those of a process end nothing, those of other code are rejections like any other. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Context, call, name, type Ref, stopProcess } from '../../../src/runtime/index.ts'
import { Address } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const nobody = name<Runner.Messages>('nobody')
const work = (): number => 1

type Made = (ref: Ref<Runner.Messages>) => Promise<unknown>
const cases: [string, Made][] = [
  ['a call', (ref) => call(ref, 'run', work)],
  ['a call with a wrong option', (ref) => call(ref, 'run', work, { timeoutMs: -1 })],
  [
    'a call that waits for a name',
    (ref) => call(ref, 'run', work, { waitForName: true, timeoutMs: 5 }),
  ],
  ['a function that makes a call', (ref) => stopProcess(ref)],
]

describe('a refused call that nobody awaits', () => {
  const unhandled: unknown[] = []
  const listen = (error: unknown): void => void unhandled.push(error)
  let others: NodeJS.UnhandledRejectionListener[] = []
  beforeEach(() => {
    unhandled.length = 0
    others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', listen)
  })
  afterEach(() => {
    process.off('unhandledRejection', listen)
    for (const other of others) process.on('unhandledRejection', other)
  })
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  test.each(cases)('of a process is no unhandled rejection: %s', async (_, made) => {
    const { system, advance } = testSystem()
    const runner = await system.start(Runner.server, false)
    const bound = await Runner.run(runner, (context: Context<Runner.Messages>) => [
      context.to(nobody),
    ])
    void made(bound[0] as Ref<Runner.Messages>)
    await advance(10)
    await turn()
    expect(unhandled).toEqual([])
  })

  test.each(cases)('of other code is one: %s', async (_, made) => {
    const { system, advance } = testSystem()
    void made(system.to(nobody))
    await advance(10)
    await turn()
    expect(unhandled).toHaveLength(1)
  })

  test('of a name whose look-up throws rejects with that, and is none', async () => {
    const thrown = new Error('not here')
    const holderOf = (): never => {
      throw thrown
    }
    const ref = new Address({ holderOf } as never, undefined, 'a', undefined)
    void call(ref as Ref<Runner.Messages>, 'run', work)
    await expect(call(ref as Ref<Runner.Messages>, 'run', work)).rejects.toBe(thrown)
    await turn()
    expect(unhandled).toEqual([])
  })

  test.each<[string, () => Promise<unknown>]>([
    ['a call', () => call('counter' as unknown as Ref<Runner.Messages>, 'run', work)],
    ['a stop', () => stopProcess('counter' as unknown as Ref)],
  ])('of what is no ref is one: %s', async (_, made) => {
    void made()
    await turn()
    expect(unhandled).toMatchObject([{ code: 'INVALID_ARGUMENT' }])
  })
})

describe('a call of a process that has ended', () => {
  test('rejects with the reason of the end, and nothing is sent', async () => {
    const { system } = testSystem()
    const [runner, other] = [
      await system.start(Runner.server, false),
      await system.start(Runner.server, false),
    ]
    const [bound] = await Runner.run(runner, (context) => [context.to(other)])
    system.kill(runner)
    const before = system.info(other)

    await expect(call(bound as typeof other, 'run', work)).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: 'killed' },
    })
    expect(system.info(other)).toEqual(before)
  })

  test('that waits for a name rejects with the reason too', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const [bound] = await Runner.run(runner, (context) => [context.to(nobody)])
    const waiting = call(bound as Ref<Runner.Messages>, 'run', work, { waitForName: true })
    system.kill(runner)

    await expect(waiting).rejects.toMatchObject({ code: 'EXITED', details: { reason: 'killed' } })
  })
})

describe('a call whose signal a listener aborts while the message arrives', () => {
  test('rejects with the reason of the signal', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false, { mailboxMax: 2 })
    const aborting = new AbortController()
    system.events.on('mailbox.high', () => aborting.abort(new Error('no more')))
    void call(runner, 'run', () => new Promise(() => {}))
    await expect(call(runner, 'run', work, { signal: aborting.signal })).rejects.toMatchObject({
      message: 'no more',
    })
  })
})
