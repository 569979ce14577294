/** Schemas of workflows and queues: a value is parsed once, where it enters, and is stored as it was made. */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  type Ctx,
  flow,
  flows,
  queue,
  type Scheduled,
  schedule,
  type Workflow,
  workflow,
} from '../../../src/flow/index.ts'
import { type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { call } from '../../../src/runtime/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

const refused = 'INVALID_ARGUMENT'

/** A schema of texts that are numbers, which counts how often it has parsed one. */
const counting = () => {
  const parsed: string[] = []
  const number = z.string().transform((text) => {
    parsed.push(text)
    return Number(text)
  })
  return { number, parsed }
}

/** A workflow that gives back its input after a signal. */
const waiting = () => {
  const { number, parsed } = counting()
  const echo = workflow(
    'echo',
    async (ctx, input) => {
      const { by } = await ctx.waitFor('go')
      return { input, by }
    },
    {
      input: number,
      signals: { go: z.object({ by: z.coerce.number<string>() }) },
      output: z.object({ input: z.number().max(100), by: z.number().transform(String) }),
    },
  )
  return { echo, parsed }
}

/** How the prompt and schedules know a workflow. */
const byName = ({ name }: { readonly name: string }) =>
  ({ sort: 'workflow', name }) as Workflow<unknown>

describe('the schema of an input', () => {
  test('parses it at the start, and its run gets what the schema makes, over a kill', async () => {
    const { echo, parsed } = waiting()
    const w = await flowWorld([echo])
    const run = await w.during(w.flow.start(echo, '5', { id: '1' }))
    await w.crash()
    const later = w.flow.handle(echo, run.id)
    await w.during(later.signal('go', { by: '7' }))

    expect(await w.during(later.result())).toEqual({ input: 5, by: '7' })
    expect(parsed).toEqual(['5'])
    expect((await w.during(w.flow.read('get', echo, '1')))?.input).toBe(5)
  })

  test('refuses one with its issues, and no run begins', async () => {
    const { echo } = waiting()
    const w = await flowWorld([echo])
    const wrong = w.flow.start(echo, 5 as never, { id: '1' })

    await expect(w.during(wrong)).rejects.toMatchObject({
      code: refused,
      details: { of: 'the input', issues: [{ path: '' }] },
    })
    expect(await w.during(w.flow.read('get', echo, '1'))).toBe(undefined)
  })

  test('gives one run for the same given input, whatever the schema makes of it each time', async () => {
    let at = 0
    const stamped = workflow('stamped', async (_, input) => input, {
      input: z.object({ name: z.string(), at: z.number().default(() => ++at) }),
    })
    const w = await flowWorld([stamped])
    // The schema is probed once, where it is declared.
    at = 0
    const first = await w.during(w.flow.start(stamped, { name: 'Eve' }, { id: '1' }))
    const again = await w.during(w.flow.start(stamped, { name: 'Eve' }, { id: '1' }))
    const other = codeOf(w.flow.start(stamped, { name: 'Ada' }, { id: '1' }))

    expect([first.repeated, again.repeated]).toEqual([false, true])
    expect(await w.during(again.result())).toEqual({ name: 'Eve', at: 1 })
    expect(await w.during(other)).toBe('CONFLICT')
  })

  test('is that of the tree for a caller that has the name of the workflow alone', async () => {
    const { echo } = waiting()
    const w = await flowWorld([echo])
    await w.during(w.flow.start(byName(echo), '5', { id: '1' }))

    expect((await w.during(w.flow.read('get', echo, '1')))?.input).toBe(5)
    expect(await w.during(codeOf(w.flow.start(byName(echo), 5, { id: '2' })))).toBe(refused)
  })

  test('parses that of a child once, also if a kill comes before its end', async () => {
    const { number, parsed } = counting()
    const child = workflow(
      'child',
      async (ctx: Ctx<{ go: undefined }>, n: number) => {
        await ctx.waitFor('go')
        return n + 1
      },
      { input: number },
    )
    const refusals: unknown[] = []
    const parent = workflow('parent', async (ctx) => {
      await ctx.child('odd', child, 5 as never).catch((error) => refusals.push(error.code))
      const sum = await ctx.child('one', child, '5', { id: 'c' })
      await ctx.sleep('pause', '1h')
      return sum
    })
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))
    await w.during(w.flow.read('get', child, 'c'))
    await w.s.advance(1_000)
    await w.during(w.flow.handle(child, 'c').signal('go', undefined))
    await w.s.advance(10_000)
    expect(parsed).toEqual(['5'])
    await w.crash()

    const result = w.flow.handle(parent, run.id).result({ timeoutMs: Number.POSITIVE_INFINITY })
    expect(await w.during(result, 7_200_000)).toBe(6)
    expect(parsed).toEqual(['5'])
    expect(new Set(refusals)).toEqual(new Set([refused]))
  })

  test('blocks a run whose child had begun if it refuses the child now, and lets it go on after', async () => {
    const child = (input: z.ZodType<number, string>) =>
      workflow(
        'child',
        async (ctx: Ctx<{ go: undefined }>, n: number) => {
          await ctx.waitFor('go')
          return n
        },
        { input },
      )
    const loose = child(z.string().transform(Number))
    const strict = child(z.string().min(3).transform(Number))
    const parent = (of: typeof loose) =>
      workflow('parent', async (ctx) => ctx.child('one', of, '5', { id: 'c' }))
    const w = await flowWorld([loose, parent(loose)])
    await w.during(w.flow.start(parent(loose), undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.crash([strict, parent(strict)])
    await w.s.advance(60_000)
    const look = await w.during(w.flow.read('get', parent(strict), '1'))
    expect([look?.status, look?.error?.code]).toEqual(['blocked', refused])

    await w.crash([loose, parent(loose)])
    await w.during(w.flow.retry(parent(loose), '1'))
    await w.during(w.flow.handle(loose, 'c').signal('go', undefined))
    expect(await w.during(w.flow.handle(parent(loose), '1').result())).toBe(5)
  })

  test('parses that of `again`, whose refusal the body gets', async () => {
    const { number, parsed } = counting()
    const refusals: unknown[] = []
    const laps = workflow(
      'laps',
      async (ctx, n) => {
        if (n === 2) return n
        try {
          ctx.again(2)
        } catch (error) {
          refusals.push((error as { code: string }).code)
        }
        return ctx.again('2')
      },
      { input: number },
    )
    const w = await flowWorld([laps])
    const run = await w.during(w.flow.start(laps, '1', { id: '1' }))

    expect(await w.during(run.result())).toBe(2)
    expect([parsed, refusals]).toEqual([['1', '2'], [refused]])
  })
})

test('the schema of an output fails the run as a throw of its body does', async () => {
  const { echo } = waiting()
  const w = await flowWorld([echo])
  const run = await w.during(w.flow.start(echo, '500', { id: '1' }))
  await w.during(run.signal('go', { by: '1' }))

  await expect(w.during(run.result())).rejects.toMatchObject({
    code: 'FAILED',
    cause: { code: refused, message: expect.stringMatching(/^the output of the run: input: ./) },
  })
})

test('a body of `previous` ends as it did, without the schema of the output', async () => {
  const body = async (ctx: Ctx<{ go: undefined }>): Promise<string> => {
    await ctx.waitFor('go')
    return 'old'
  }
  const old = workflow('grown', body)
  const next = workflow('grown', async () => 2, {
    version: 2,
    previous: { 1: body as never },
    output: z.number(),
  })
  const w = await flowWorld([old])
  const run = await w.during(w.flow.start(old, undefined, { id: '1' }))
  await w.crash([next])
  await w.during(w.flow.handle(old, run.id).signal('go', undefined))

  expect(await w.during(w.flow.handle(next, run.id).result())).toBe('old')
})

describe('the schema of a signal', () => {
  test('refuses a value before anything is stored', async () => {
    const { echo } = waiting()
    const w = await flowWorld([echo])
    const run = await w.during(w.flow.start(echo, '5', { id: '1' }))

    await expect(w.during(run.signal('go', {} as never))).rejects.toMatchObject({
      code: refused,
      details: { of: 'the signal go', issues: [{ path: 'by' }] },
    })
    expect((await w.during(w.flow.read('get', echo, '1')))?.status).toBe('running')
  })

  test('leaves signals of other names as they are', async () => {
    const both = workflow(
      'both',
      async (ctx: Ctx<{ go: number; stop: string }>) => ctx.waitFor('stop'),
      {
        signals: { go: z.number() },
      },
    )
    const w = await flowWorld([both])
    const run = await w.during(w.flow.start(both, undefined, { id: '1' }))
    await w.during(run.signal('stop', 'now'))

    expect(await w.during(run.result())).toBe('now')
  })
})

describe('the schemas of an update', () => {
  const carts = () => {
    const { number, parsed } = counting()
    const answers: number[] = []
    const cart = workflow(
      'cart',
      async (ctx: Ctx<{ done: undefined }, { add: (n: number) => number }>, _: undefined) => {
        ctx.onUpdate('add', (n) => n * 2)
        await ctx.waitFor('done')
      },
      {
        updates: {
          add: {
            input: number,
            output: z.number().transform((n) => {
              if (n > 100) throw new RangeError('too much')
              answers.push(n)
              return `${n}`
            }),
          },
        },
      },
    )
    return { cart, parsed, answers }
  }

  test('parse its value at the caller and its answer in the run, each once over a kill', async () => {
    const { cart, parsed, answers } = carts()
    const w = await flowWorld([cart])
    const run = await w.during(w.flow.start(cart, undefined, { id: '1' }))
    expect(await w.during(run.update('add', '4', { id: 'one' }))).toBe('8')
    await w.crash()
    const later = w.flow.handle(cart, '1')
    await w.during(later.signal('done', undefined))
    await w.during(later.result())

    expect([parsed, answers]).toEqual([['4'], [8]])
  })

  test('refuse a value with its issues; a refused answer is the error of the handler alone', async () => {
    const { cart } = carts()
    const w = await flowWorld([cart])
    const run = await w.during(w.flow.start(cart, undefined, { id: '1' }))

    expect(await w.during(codeOf(run.update('add', 4 as never)))).toBe(refused)
    expect(await w.during(codeOf(run.update('add', '51')))).toBe(refused)
    expect(await w.during(run.update('add', '4'))).toBe('8')
  })

  test('know the same update by what its caller gave', async () => {
    let at = 0
    const noted = workflow(
      'noted',
      async (ctx, _: undefined) => {
        ctx.onUpdate('note', (value) => value)
        await ctx.sleep('long', '1d')
      },
      { updates: { note: z.object({ at: z.number().default(() => ++at) }) } },
    )
    const w = await flowWorld([noted])
    const run = await w.during(w.flow.start(noted, undefined, { id: '1' }))
    const first = await w.during(run.update('note', {}, { id: 'n' }))

    expect(await w.during(run.update('note', {}, { id: 'n' }))).toEqual(first)
    expect(await w.during(codeOf(run.update('note', { at: 9 }, { id: 'n' })))).toBe('CONFLICT')
  })
})

test('the argument of a query is parsed at its caller', async () => {
  const asked = workflow('asked', async () => 1, {
    queries: {
      more: { input: z.coerce.number<string>(), answer: (_: unknown, n: number) => n + 1 },
    },
  })
  const w = await flowWorld([asked])
  const run = await w.during(w.flow.start(asked, undefined, { id: '1' }))

  expect(await w.during(run.query('more', '4'))).toBe(5)
  expect(await w.during(codeOf(run.query('more', {} as never)))).toBe(refused)
})

describe('the schema of a queue', () => {
  const world = async () => {
    const { number, parsed } = counting()
    const got: unknown[] = []
    const jobs = queue('jobs', (n) => void got.push(n), { input: number, concurrency: 1 })
    const square = workflow('square', async (_, n) => void got.push(n * n), { input: number })
    const squares = queue('squares', square)
    const app = supervisor('app', {}, [flows({ workflows: [square], queues: [jobs, squares] })])
    const s = await simulated({ app })
    return { s, jobs, squares, got, parsed }
  }

  test('parses a job where it is added, and its handler gets what the schema makes, over a kill', async () => {
    const w = await world()
    await w.s.during(flow(w.s.app).pause(w.jobs))
    await w.s.during(flow(w.s.app).add(w.jobs, '4'))
    await w.s.kill()
    await w.s.start()
    const stored = await w.s.during(flow(w.s.app).read('jobs', w.jobs, { state: 'waiting' }))
    expect(stored.entries.map(({ input }) => input)).toEqual([4])
    await w.s.during(flow(w.s.app).resume(w.jobs))
    await w.s.advance(1_000)

    expect([w.got, w.parsed]).toEqual([[4], ['4']])
  })

  test('adds none of many jobs if it refuses one, which the error names', async () => {
    const w = await world()
    const many = flow(w.s.app).addMany(w.jobs, ['1', 2 as never, '3'])

    await expect(w.s.during(many)).rejects.toMatchObject({
      code: refused,
      details: { of: 'jobs[1]' },
    })
    await w.s.advance(1_000)
    expect(w.got).toEqual([])
  })

  test('is that of its workflow, which does not parse the job again', async () => {
    const w = await world()
    expect(await w.s.during(codeOf(flow(w.s.app).add(w.squares, 4 as never)))).toBe(refused)
    await w.s.during(flow(w.s.app).add(w.squares, '4'))
    await w.s.advance(5_000)

    expect([w.got, w.parsed]).toEqual([[16], ['4']])
  })
})

describe('in the turn of a durable actor', () => {
  type Messages = { calls: { buy: (n: unknown) => string } }

  test('starts, signals and jobs are parsed in that turn, which gets the refusal', async () => {
    const { number, parsed } = counting()
    const got: unknown[] = []
    const echo = workflow('echo', async (ctx, n) => void got.push([n, await ctx.waitFor('go')]), {
      input: number,
      signals: { go: number },
    })
    const jobs = queue('jobs', (n) => void got.push(n), { input: number })
    const server: DurableServer<Messages, number> = {
      init: () => 0,
      calls: {
        buy: (state, n, context) => {
          try {
            flow(context).start(echo, n as string, { id: '1' })
            flow(context).signal(echo, '1', 'go', n as string)
            flow(context).add(jobs, n as string)
            return reply('bought', state + 1)
          } catch (error) {
            context.from.fail(error)
            return noReply(state)
          }
        },
      },
    }
    const s = await simulated({
      app: supervisor('app', {}, [
        flows({ workflows: [echo], queues: [jobs] }),
        entity('shop', server),
      ]),
    })
    const ref = s.app.entity<Messages>('shop').ref('1')
    expect(await s.during(codeOf(call(ref, 'buy', 5)))).toBe(refused)
    expect(await s.during(call(ref, 'buy', '5'))).toBe('bought')
    await s.advance(5_000)

    expect(got).toHaveLength(2)
    expect(got).toEqual(expect.arrayContaining([5, [5, 5]]))
    expect(parsed).toEqual(['5', '5', '5'])
  })
})

test('a schedule parses its input where it is given, and a time where it comes', async () => {
  const { number, parsed } = counting()
  const got: unknown[] = []
  const echo = workflow('echo', async (_, n) => void got.push(n), { input: number })
  const report = workflow('report', async (_, { at }) => void got.push(at), {
    input: z.object({ at: z.number().transform((at) => new Date(at).toISOString().slice(11, 16)) }),
  })
  const hourly = schedule('hourly', '0 * * * *', report as Workflow<Scheduled>)
  const s = await simulated({
    app: supervisor('app', {}, [flows({ workflows: [echo, report], schedules: [hourly] })]),
  })
  await s.advance(1_000)
  const { schedules } = flow(s.app)
  const half = '30 * * * *'
  const odd = schedules.create('half', half, echo, { input: 5 as never })
  expect(await s.during(codeOf(odd))).toBe(refused)
  await s.during(schedules.create('half', half, echo, { input: '5' }))
  await s.during(codeOf(schedules.change('half', { input: 6 })))
  await s.advance(3_700_000)
  await s.during(schedules.change('half', { input: '6' }))
  await s.advance(3_600_000)

  expect(got).toEqual([5, '01:00', 6, '02:00'])
  expect(parsed).toEqual(['5', '6'])
})

test.each([
  ['input', { input: { parse: () => 1 } }, 'workflow.odd.input'],
  ['output', { output: z.any().refine(async () => true) }, 'workflow.odd.output'],
  ['signals', { signals: { go: 1 } }, 'workflow.odd.signals.go'],
  ['updates', { updates: { go: { input: 1 } } }, 'workflow.odd.updates.go.input'],
  ['queries', { queries: { go: { answer: () => 1 } } }, 'workflow.odd.queries.go.input'],
])('what is no schema is refused where it is declared: %s', (_, options, path) => {
  const declare = (): unknown => workflow('odd', async () => 1, options as never)
  expect(declare).toThrow(
    expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) }),
  )
})
