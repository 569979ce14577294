/** Values that cannot be stored are a mistake of the program: nothing is undone or repeated for them. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

test('a run whose output cannot be stored is blocked, and completes with a body that returns another', async () => {
  const seen: string[] = []
  const make = (isMended: boolean) =>
    workflow('run', async (ctx: Ctx<{ word: string }>): Promise<unknown> => {
      await ctx.step('work', () => void seen.push('work'), { undo: () => void seen.push('undo') })
      const word = await ctx.waitFor('word', { timeout: '10s' })
      return isMended ? [1, word ?? null] : [1, word]
    })
  const w = await flowWorld([make(false)])
  await w.during(w.flow.start(make(false), undefined, { id: '1' }))
  await w.s.advance(60_000)
  const { status, error } = w.flow.get(make(false), '1') ?? {}
  expect([status, error?.code]).toEqual(['blocked', 'INVALID_ARGUMENT'])
  expect(error?.message).toBe(
    'the output of the run: the value at 1 cannot be stored: undefined, where null can be; ' +
      'return another one, and retry',
  )
  await w.crash([make(true)])
  await w.during(w.flow.retry(make(true), '1'))
  expect(await w.during(w.flow.handle(make(true), '1').result())).toEqual([1, null])
  expect(seen).toEqual(['work'])
})

test('a cancelled run ends, whatever its body returns', async () => {
  const run = workflow('run', async (ctx: Ctx): Promise<unknown> => {
    await ctx.sleep('nap', '1h').catch(() => undefined)
    return [undefined]
  })
  const w = await flowWorld([run])
  const handle = await w.during(w.flow.start(run, undefined, { id: '1' }))
  await w.during(handle.cancel())
  await w.s.advance(10_000)
  expect(w.status(run, '1')).toBe('cancelled')
})

test('a step whose value cannot be stored is not tried again, and its body gets the error', async () => {
  let tries = 0
  const run = workflow('run', (ctx: Ctx) =>
    ctx
      .step('work', () => {
        tries++
        return [undefined]
      })
      .catch((error) => [error.code, error.message]),
  )
  const w = await flowWorld([run])
  const handle = await w.during(w.flow.start(run, undefined, { id: '1' }))
  expect(await w.during(handle.result())).toEqual([
    ...['INVALID_ARGUMENT', 'the value at 0 cannot be stored: undefined, where null can be'],
  ])
  expect(tries).toBe(1)
})
