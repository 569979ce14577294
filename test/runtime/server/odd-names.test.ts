/** A name or label that is no text is refused where it is handed in, and nothing else suffers. */
import { describe, expect, test } from 'vitest'
import {
  type GenServer,
  noReply,
  ok,
  type StartOptions,
  type System,
  supervisor,
  type Then,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const odd = [Symbol('odd'), 5, null, { toString: () => expect.unreachable() }] as const
const invalid = { code: 'INVALID_ARGUMENT' }

const codeOfThrow = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

describe('a message name that is no text', () => {
  test.each(odd)('is refused by every function of the context (%#)', async (wrong) => {
    const { system, clock, log } = testSystem()
    const runner = await system.start(Runner.server, false)
    const name = wrong as never

    const codes = await Runner.run(runner, (context) => [
      codeOfThrow(() => context.send(context.self, name)),
      codeOfThrow(() => context.sendAfter(10, name)),
      codeOfThrow(() => context.sendAfter(10, name, undefined as never, context.self)),
      codeOfThrow(() => context.startTimer(10, name)),
      codeOfThrow(() => context.pipe(Promise.resolve(), name)),
    ])
    await clock.advance(10)

    expect(codes).toEqual(codes.map(() => 'INVALID_ARGUMENT'))
    expect(await Runner.run(runner, () => 'alive')).toBe('alive')
    expect(log.lines).toEqual([])
  })

  test('in a continue is a bad return, of init and of a handler', async () => {
    const { system, ended } = testSystem()
    const then = { continue: [Symbol('odd')] } as unknown as Then<never>
    const bad = ['bad_return_value', expect.anything()]

    const begun = await system.startResult({ init: () => ok(null, then) } as GenServer<
      object,
      null
    >)
    expect(begun).toMatchObject({ ok: false, reason: bad })
    const runner = await system.start(Runner.server, false)
    Runner.answer(runner, () => noReply([], then))
    expect(await ended(runner)).toMatchObject(bad)
  })
})

describe('a label, a kind or an instance that is no text', () => {
  const starts = (system: System, options: StartOptions) => [
    system.start(Runner.server, false, options as StartOptions<Runner.Messages>),
    (async () => system.spawn(() => {}, options))(),
  ]

  test.each(['label', 'kind', 'instance'])('is refused at a start: %s', async (key) => {
    const { system } = testSystem()
    for (const wrong of odd)
      for (const start of starts(system, { [key]: wrong }))
        await expect(start).rejects.toMatchObject(invalid)
    expect(system.processes()).toEqual([])
  })

  test.each(['label', 'kind', 'instance', 'name'])(
    'is refused where a specification is written: %s',
    (key) => {
      const config = expect.objectContaining({
        code: 'CONFIG',
        details: expect.objectContaining({ path: expect.stringContaining('child') }),
      })
      for (const wrong of odd) {
        const options = { [key]: wrong } as object
        expect(() => worker('child', Runner.server, false, options)).toThrow(config)
        if (key !== 'name' && key !== 'instance') continue
        const strategy = 'one_for_one'
        expect(() => supervisor('child', { strategy, ...options }, [])).toThrow(config)
      }
    },
  )

  test('a name that is no text becomes no ref', () => {
    const { system } = testSystem()
    for (const wrong of odd)
      expect(() => system.to(wrong as never)).toThrow(expect.objectContaining(invalid))
  })
})
