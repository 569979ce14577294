/** Values that cannot be stored are a mistake of the program: nothing is undone or repeated for them. */
import { describe, expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
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
    'INVALID_ARGUMENT',
    'the outcome of work: the value at 0 cannot be stored: undefined, where null can be',
  ])
  expect(tries).toBe(1)
})

describe('a value that cannot be stored is refused with its place in it', () => {
  const bad = { items: [1, undefined] }
  const refusal = (of: string, path: readonly (string | number)[] = ['items', 1]) => ({
    code: 'INVALID_ARGUMENT',
    message: `${of}: the value at ${path.join('.')} cannot be stored: undefined, where null can be`,
    details: { of, path, found: 'undefined' },
  })

  const world = async () => {
    const waits = workflow('waits', (ctx: Ctx<{ word: unknown }>, _: unknown) =>
      ctx.waitFor('word'),
    )
    const mails = queue('mails', (_: unknown) => undefined)
    const w = await flowWorld([waits], { queues: [mails] })
    const handle = await w.during(w.flow.start(waits, undefined, { id: '1' }))
    return { w, waits, mails, handle }
  }
  type World = Awaited<ReturnType<typeof world>>

  test.each<[string, string, (w: World) => Promise<unknown>]>([
    ['an input', 'the input', ({ w, waits }) => w.flow.start(waits, bad, { id: '2' })],
    ['a signal', 'the signal word', ({ handle }) => handle.signal('word', bad)],
    ['a job', 'the job', ({ w, mails }) => w.flow.add(mails, bad)],
    [
      'a decision',
      'the decision',
      ({ w, waits }) => w.flow.settle(waits, '1', 'a', { value: bad }),
    ],
  ])('at the caller: %s', async (_, of, call) => {
    const made = await world()
    await expect(call(made)).rejects.toMatchObject(refusal(of))
    // Nothing was left behind.
    const { w, waits, mails } = made
    await w.s.advance(10_000)
    expect(w.flow.list({ type: waits }).entries.map(({ id }) => id)).toEqual(['1'])
    expect(w.status(waits, '1')).toBe('waiting')
    expect(await w.during(w.flow.counts(mails))).toMatchObject({ ready: 0, running: 0, dead: 0 })
  })

  test('in the body: inputs of children and of the next lap, and a progress', async () => {
    const refused: unknown[] = []
    const note = (error: unknown) => void refused.push(error)
    const child = workflow('child', async (_: Ctx, input: unknown) => input)
    const run = workflow('run', async (ctx: Ctx) => {
      await ctx.child('part', child, bad).catch(note)
      for (const does of [() => ctx.report(bad), () => ctx.again(bad)])
        try {
          does()
        } catch (error) {
          note(error)
        }
      return 'went on'
    })
    const w = await flowWorld([run, child])
    const handle = await w.during(w.flow.start(run, undefined, { id: '1' }))
    expect(await w.during(handle.result())).toBe('went on')
    const names = ['the input of the child part', 'the progress', 'the input of `again`']
    expect(refused).toMatchObject(names.map((of) => refusal(of)))
    expect(w.flow.list({ type: child }).entries).toEqual([])
  })
})
