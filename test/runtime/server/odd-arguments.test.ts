/** A wrong ref, signal, option or function is refused at the caller, with nothing begun. */
import { describe, expect, test } from 'vitest'
import {
  call,
  createSystem,
  getState,
  name,
  type Ref,
  replaceState,
  type StartOptions,
  stopProcess,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

describe('a call', () => {
  test('of a value that is not a ref rejects, and so does every request of sys', async () => {
    const nobody = 'counter' as unknown as Ref<Runner.Messages>
    const asked = [call(nobody, 'run', () => 1), getState(nobody), stopProcess(nobody)]

    for (const question of asked) await expect(question).rejects.toMatchObject(invalid)
  })

  test('with a signal that is none rejects, and nothing is sent', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const signal = {} as AbortSignal

    await expect(call(runner, 'run', () => 1, { signal })).rejects.toMatchObject(invalid)
    expect(system.info(runner)?.mailbox).toBe(0)
  })

  test.each<[string, object]>([
    ['an id that is no text', { id: 7 }],
    ['an empty id', { id: '' }],
    ['an id with a NUL', { id: 'a\0b' }],
    ['an id with half a character', { id: '\ud800' }],
    ['an id of 257 bytes', { id: `${'ä'.repeat(128)}x` }],
    ['a wait that is no boolean', { waitForName: 1 }],
    ['a position that is no boolean', { position: 'yes' }],
    ['a signal that is null', { signal: null }],
    ['a time that is none', { timeoutMs: Number.NaN }],
    ['an option that nobody knows', { timeout: 5 }],
  ])('with %s rejects, and nothing is sent', async (_, options) => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const before = system.info(runner)
    const asked = call(runner, 'run', () => 1, options)

    await expect(asked).rejects.toMatchObject(invalid)
    expect(system.info(runner)).toEqual(before)
  })

  const invalid = { code: 'INVALID_ARGUMENT' }
})

describe('a start', () => {
  test.each([
    ['an empty name', { name: '' }],
    ['a number as its name', { name: 5 }],
    ['null as its name', { name: null }],
    ['a mailbox of nothing', { mailboxMax: 0 }],
    ['a mailbox that compares with nothing', { mailboxMax: Number.NaN }],
    ['a mailbox in words', { mailboxMax: '5' }],
  ])('with %s is refused, and leaves nothing behind', async (_, wrong) => {
    const { system } = testSystem()
    const options = wrong as StartOptions<Runner.Messages>

    await expect(system.start(Runner.server, false, options)).rejects.toMatchObject(invalid)
    expect(() => system.spawn(() => {}, options)).toThrow(expect.objectContaining(invalid))
    expect(system.processes()).toEqual([])
  })

  test('of a system whose mailboxes hold nothing is refused', () => {
    expect(() => createSystem({ mailboxMax: -1 })).toThrow(expect.objectContaining(invalid))
  })

  test('is followed by no name that is none', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)

    const registered = await Runner.run(runner, (context) => {
      try {
        return context.register(name(''))
      } catch (error) {
        return error
      }
    })

    expect(registered).toMatchObject(invalid)
  })

  const invalid = { code: 'INVALID_ARGUMENT' }
})

describe('replaceState', () => {
  test('refuses an asynchronous function: its promise is no state', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const replace = (async () => ['other']) as unknown as () => Runner.Notes

    await expect(replaceState(runner, replace)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await getState(runner)).toEqual([])
  })
})
