/** `simulation.run`: a workflow on virtual time, with a power cut after any of its operations. */
import { describe, expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, type Try, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/supervisors/index.ts'
import type { Workflows } from '../../support/worlds/flow-world.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const world = (...workflows: Workflows) =>
  simulated({ app: supervisor('app', {}, [flows({ workflows })]) })

/** A step that the outside world sees. */
const outside = () => {
  const seen: string[] = []
  const keys = new Set<string>()
  const ask =
    (what: string) =>
    ({ key }: Pick<Try, 'key'>): string => {
      seen.push(what)
      keys.add(`${what} ${key}`)
      return what
    }
  return { seen, keys, ask }
}

const shop = () => {
  const { seen, keys, ask } = outside()
  const order = workflow('order', async (ctx: Ctx<{ approval: string }>, item: string) => {
    await ctx.step('reserve', ask('reserve'), { undo: ask('release') })
    await ctx.step('charge', ask('charge'), { undo: ask('refund') })
    const by = await ctx.waitFor('approval', { timeout: '3d' })
    if (by === undefined) throw new Error('nobody approved it')
    await ctx.step('ship', ask('ship'))
    return `${item} by ${by}`
  })
  return { order, seen, keys }
}

const approve = {
  act: (run: { signal: (name: 'approval', value: string) => unknown }) =>
    run.signal('approval', 'Eve'),
}

describe('a simulated run', () => {
  test('ends as its workflow does, and says what it recorded', async () => {
    const { order, seen } = shop()
    const simulation = await world(order)

    const ran = await simulation.run(order, 'tea', approve)

    expect(ran).toMatchObject({ status: 'completed', output: 'tea by Eve', error: undefined })
    expect(ran.powerCuts).toBe(0)
    expect(ran.steps.map(({ key, kind, outcome }) => [key, kind, outcome])).toEqual([
      ['reserve', 'step', 'ok'],
      ['charge', 'step', 'ok'],
      ['approval#1', 'wait', 'ok'],
      ['ship', 'step', 'ok'],
    ])
    expect(seen).toEqual(['reserve', 'charge', 'ship'])
  })

  test('that waits in vain passes its days, and its undos are among its steps', async () => {
    const { order, seen } = shop()
    const simulation = await world(order)

    const ran = await simulation.run(order, 'tea')

    expect(ran).toMatchObject({ status: 'failed', output: undefined })
    expect(ran.error?.message).toBe('nobody approved it')
    expect(ran.steps.map(({ key }) => key).slice(-2)).toEqual(['undo:charge', 'undo:reserve'])
    expect(seen).toEqual(['reserve', 'charge', 'refund', 'release'])
  })

  test.each(['reserve', 'charge', 'approval#1', 'ship'])(
    'repeats nothing after a power cut after %s',
    async (crashAfter) => {
      const { order, seen } = shop()
      const simulation = await world(order)

      const ran = await simulation.run(order, 'tea', { crashAfter, ...approve })

      expect(ran).toMatchObject({ output: 'tea by Eve', powerCuts: 1 })
      expect(seen).toEqual(['reserve', 'charge', 'ship'])
    },
  )

  test('begins nothing between the outcome and the cut', async () => {
    const { order, seen } = shop()
    const simulation = await world(order)
    const atCut: string[][] = []

    await simulation.run(order, 'tea', {
      crashAfter: (key) => atCut.push([key, ...seen]) > 0,
      ...approve,
    })

    expect(atCut).toEqual([
      ['reserve', 'reserve'],
      ['charge', 'reserve', 'charge'],
      ['approval#1', 'reserve', 'charge'],
      ['ship', 'reserve', 'charge', 'ship'],
    ])
  })

  test('ends the same with a cut after each operation: branches, sleeps, children, undos', async () => {
    const story = async (crashAfter?: () => boolean) => {
      const { seen, keys, ask } = outside()
      const child = workflow('child', async (ctx: Ctx, n: number) => {
        await ctx.step('work', ask(`work ${n}`))
        await ctx.sleep('pause', `${n}h`)
        return n * n
      })
      const parent = workflow('parent', async (ctx: Ctx) => {
        await ctx.step('first', ask('first'), { undo: ask('undo first') })
        const ends = await ctx.all(
          'squares',
          [1, 2, 3].map((n) => (own) => own.child('square', child, n)),
        )
        throw new Error(ends.map((end) => (end.ok ? end.value : 'none')).join())
      })
      const simulation = await world(parent, child)
      const ran = await simulation.run(parent, undefined, crashAfter && { crashAfter })
      return { ran, seen, keys }
    }
    const calm = await story()
    const { ran, seen, keys } = await story(() => true)

    expect(ran.error).toEqual(new Error('1,4,9'))
    expect(ran.steps.map(({ key }) => key)).toEqual(calm.ran.steps.map(({ key }) => key))
    expect(ran.powerCuts).toBeGreaterThanOrEqual(5)
    // A cut may repeat the steps that run beside the one that it follows, each under its key.
    expect(keys.size).toBe(new Set(seen).size)
    expect([...new Set(seen)].sort()).toEqual([...calm.seen].sort())
  })

  test('whose step halts the disk has its effect without its record, and repeats it under its key', async () => {
    const { seen, keys, ask } = outside()
    let isFirst = true
    const pay = workflow('pay', async (ctx: Ctx) =>
      ctx.step('charge', (attempt) => {
        if (isFirst) simulation.disk.halt()
        isFirst = false
        return ask('charge')(attempt)
      }),
    )
    const simulation = await world(pay)

    const ran = await simulation.run(pay, undefined)

    expect(ran).toMatchObject({ output: 'charge', powerCuts: 1 })
    expect(seen).toEqual(['charge', 'charge'])
    expect(keys.size).toBe(1)
  })

  test('acts again when a cut came before its answer, and not otherwise', async () => {
    const { order } = shop()
    const simulation = await world(order)
    let acts = 0

    const ran = await simulation.run(order, 'tea', {
      crashAfter: 'approval#1',
      act: async (run) => {
        if (++acts === 1) simulation.disk.halt()
        await run.signal('approval', 'Eve', { id: 'mail' })
      },
    })

    expect(ran).toMatchObject({ output: 'tea by Eve', powerCuts: 2 })
    expect(acts).toBe(2)
  })

  test('is cancelled by its act, and undone over a cut', async () => {
    const { order, seen } = shop()
    const simulation = await world(order)

    const ran = await simulation.run(order, 'tea', {
      crashAfter: 'undo:charge',
      act: async (run) => {
        await new Promise<void>((resolve) => void simulation.clock.after(60_000, resolve))
        await run.cancel({ reason: 'rain' })
      },
    })

    expect(ran).toMatchObject({ status: 'cancelled', powerCuts: 1 })
    expect(ran.error).toMatchObject({ code: 'CANCELLED', message: 'rain' })
    expect(seen).toEqual(['reserve', 'charge', 'refund', 'release'])
  })

  test('that is blocked says so, and goes on under its id when it was decided', async () => {
    const { order, seen } = shop()
    const pay = workflow('pay', async (ctx: Ctx, cents: number) =>
      ctx.step(
        'charge',
        () => {
          simulation.disk.halt()
          return cents
        },
        { repeat: 'once' },
      ),
    )
    const simulation = await world(pay, order)
    const blocked = await simulation.run(pay, 7, { id: 'bill' })
    expect(blocked).toMatchObject({ status: 'blocked', error: { code: 'UNKNOWN_STEP' } })

    await simulation.during(flow(simulation.app).settle(pay, 'bill', 'charge', { value: 8 }))

    expect(await simulation.run(pay, 7, { id: 'bill' })).toMatchObject({ output: 8 })
    expect(seen).toEqual([])
  })

  test('adds jobs whose runs survive the cuts too', async () => {
    const { keys, ask } = outside()
    const mail = workflow('mail', async (ctx: Ctx, to: string) => ctx.step('send', ask(to)))
    const mails = queue('mails', mail)
    const order = workflow('order', async (ctx: Ctx, to: string) => {
      await ctx.step('ask', ({ key }) =>
        flow(simulation.app)
          .add(mails, to, { unique: key })
          .then(() => undefined),
      )
      await ctx.sleep('later', '1h')
    })
    const app = supervisor('app', {}, [flows({ workflows: [order, mail], queues: [mails] })])
    const simulation = await simulated({ app })

    const ran = await simulation.run(order, 'ada', { crashAfter: (key) => key !== 'later' })

    expect(ran).toMatchObject({ status: 'completed', powerCuts: 2 })
    // The first cut may come while the job's run is in its step: it asks again, with the same key.
    expect(keys.size).toBe(1)
  })

  test('starts again as the instance was started last', async () => {
    const make = (text: string) =>
      workflow('order', async (ctx: Ctx) => {
        await ctx.step('first', () => undefined)
        return text
      })
    const [old, next] = [make('old'), make('next')]
    const simulation = await world(old)
    await simulation.close()
    await simulation.start({ app: supervisor('app', {}, [flows({ workflows: [next] })]) })

    const ran = await simulation.run(next, undefined, { crashAfter: 'first' })

    expect(ran).toMatchObject({ output: 'next', powerCuts: 1 })
  })
})

describe('a simulated run refuses', () => {
  test('a cut that never came, with the keys that there were', async () => {
    const { order } = shop()
    const simulation = await world(order)
    const ran = simulation.run(order, 'tea', { crashAfter: 'chrage', ...approve })
    await expect(ran).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('reserve, charge, approval#1, ship'),
    })
  })

  test('to wait longer than it may', async () => {
    const { order } = shop()
    const simulation = await world(order)
    await expect(simulation.run(order, 'tea', { withinMs: 86_400_000 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('reserve, charge'),
    })
  })

  test('what its functions throw, and a wrong option', async () => {
    const { order } = shop()
    const simulation = await world(order)
    const throws = () => {
      throw new Error('an assertion')
    }
    for (const options of [{ crashAfter: throws }, { act: throws }])
      await expect(simulation.run(order, 'tea', options)).rejects.toThrow('an assertion')
    const wrong = [{ crashAfter: 7 }, { crashafter: 'charge' }, { withinMs: 0 }, { withinMs: '1' }]
    for (const options of wrong)
      await expect(simulation.run(order, 'tea', options as object)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
  })

  test('a workflow that is not in the tree', async () => {
    const simulation = await world()
    await expect(simulation.run(shop().order, 'tea')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
})
