/** A crash at any operation on the disk: each program ends as it does without one. */
import { describe, expect, test } from 'vitest'
import { type Ctx, flow, flows, type Try, workflow } from '../../../src/flow/index.ts'
import { type App, supervisor } from '../../../src/index.ts'
import { sampled } from '../../support/tier.ts'
import type { Workflows } from '../../support/worlds/flow-world.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

/** The outside world of a program: what it saw, in order. */
class Ledger {
  readonly seen: string[] = []
  readonly keys = new Map<string, Set<string>>()

  note(what: string, { key }: { readonly key: string }): string {
    this.seen.push(what)
    this.keys.set(what, (this.keys.get(what) ?? new Set()).add(key))
    return `${what} is done`
  }

  count(what: string): number {
    return this.seen.filter((each) => each === what).length
  }
}

/** A program: its workflows, and a story that may be repeated from its beginning. */
type Program = {
  readonly make: (ledger: Ledger) => {
    readonly workflows: Workflows
    /** Answers with the end of the main run. */
    readonly story: (app: App, advance: (ms: number) => Promise<void>) => Promise<unknown>
  }
  readonly check: (ledger: Ledger) => void
}

const tree = (workflows: Workflows) => supervisor('app', {}, [flows({ workflows })])

const ended = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error) => {
    if (['FAILED', 'CANCELLED', 'BLOCKED'].includes(error.code)) return error.message
    throw error
  })

/** Runs a program, with a halt of the disk at this operation. Answers the end and the operations. */
const live = async (program: Program, crashAt?: number, unsynced?: 'lost' | 'kept') => {
  const world = machine()
  const { disk, during, pass } = world
  const ledger = new Ledger()
  const { workflows, story } = program.make(ledger)
  let app = await world.start({ app: tree(workflows) })
  const first = disk.calls
  if (crashAt !== undefined) disk.inject({ at: crashAt, fault: { kind: 'halt' } })
  const result = await during(story(app, pass), 200_000).catch((error) => ({ error }))
  const calls = disk.calls - first
  if (crashAt === undefined) {
    await during(app.close())
    program.check(ledger)
    return { result, calls, ledger }
  }
  disk.halt()
  await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(app.system.stop()).catch(() => undefined)
  disk.crash(unsynced ? { unsynced } : {})
  disk.clearFaults()
  disk.killProcess()
  app = await world.start({ app: tree(workflows) })
  const after = await during(story(app, pass), 200_000)
  await during(app.close())
  program.check(ledger)
  return { result: after, calls, ledger }
}

const step = (ctx: Ctx, ledger: Ledger, name: string) =>
  ctx.step(name, (attempt: Try) => ledger.note(name, attempt), {
    undo: ({ key }) => ledger.note(`undo ${name}`, { key }),
  })

const programs: Readonly<Record<string, Program>> = {
  'an order that waits for its approval': {
    make: (ledger) => {
      const order = workflow('order', async (ctx: Ctx<{ approval: string }>, item: string) => {
        await step(ctx, ledger, 'reserve')
        await ctx.step('flaky', (attempt) => {
          ledger.note('flaky', attempt)
          if (attempt.attempt === 1) throw new Error('again')
        })
        const by = await ctx.waitFor('approval', { timeout: '3d' })
        await step(ctx, ledger, 'ship')
        return `${item} by ${by} ${ctx.uuid()}`.length
      })
      const story = async (app: App) => {
        const run = await flow(app).start(order, 'tea', { id: '1' })
        await run.signal('approval', 'Eve', { id: 'approval' }).catch((error) => {
          // It had ended before the crash.
          if (error.code !== 'CONFLICT') throw error
        })
        return ended(run.result({ timeoutMs: 100_000 }))
      }
      return { workflows: [order], story }
    },
    check: (ledger) => {
      for (const keys of ledger.keys.values()) expect(keys.size).toBe(1)
      // A crash repeats at most the step that ran.
      const extra = [...ledger.keys.keys()].map(
        (what) => ledger.count(what) - (what === 'flaky' ? 2 : 1),
      )
      expect(extra.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(1)
      expect(ledger.count('undo reserve')).toBe(0)
    },
  },
  'an order that fails and is undone': {
    make: (ledger) => {
      const order = workflow('order', async (ctx: Ctx) => {
        await step(ctx, ledger, 'reserve')
        await step(ctx, ledger, 'charge')
        throw new Error('no carrier')
      })
      const story = async (app: App) =>
        ended((await flow(app).start(order, undefined, { id: '1' })).result({ timeoutMs: 100_000 }))
      return { workflows: [order], story }
    },
    check: ({ seen, keys }) => {
      for (const each of keys.values()) expect(each.size).toBe(1)
      const firsts = [...new Set(seen)]
      expect(firsts).toEqual(['reserve', 'charge', 'undo charge', 'undo reserve'])
      expect(seen.length).toBeLessThanOrEqual(5)
    },
  },
  'an order that is cancelled': {
    make: (ledger) => {
      const order = workflow('order', async (ctx: Ctx) => {
        await step(ctx, ledger, 'reserve')
        await ctx.sleep('long', '3d')
        await step(ctx, ledger, 'never')
      })
      const story = async (app: App, advance: (ms: number) => Promise<void>) => {
        const run = await flow(app).start(order, undefined, { id: '1' })
        await advance(100)
        await run.cancel({ reason: 'rain' })
        return ended(run.result({ timeoutMs: 100_000 }))
      }
      return { workflows: [order], story }
    },
    check: ({ seen }) => {
      expect([...new Set(seen)]).toEqual(['reserve', 'undo reserve'])
      expect(seen.length).toBeLessThanOrEqual(3)
    },
  },
  'a parent with children and a race': {
    make: (ledger) => {
      const child = workflow('child', async (ctx: Ctx, n: number) => {
        await ctx.step('work', (attempt) => ledger.note(`child ${n}`, attempt))
        await ctx.sleep('pause', n * 10)
        return n * n
      })
      const parent = workflow('parent', async (ctx: Ctx) => {
        const ends = await ctx.all(
          'squares',
          [1, 2, 3, 4].map((n) => (own: Ctx) => own.child('square', child, n)),
        )
        const race = await ctx.all(
          'race',
          [300, 20].map((ms) => async (own: Ctx) => {
            await own.sleep('pause', ms)
            return ms
          }),
          { wait: 'any' },
        )
        return [...ends, ...race].map((end) => (end.ok ? end.value : 'cancelled'))
      })
      const story = async (app: App) =>
        ended(
          (await flow(app).start(parent, undefined, { id: '1' })).result({ timeoutMs: 100_000 }),
        )
      return { workflows: [parent, child], story }
    },
    check: ({ keys, seen }) => {
      expect(keys.size).toBe(4)
      for (const each of keys.values()) expect(each.size).toBe(1)
      expect(seen.length).toBeLessThanOrEqual(8)
    },
  },
}

describe.each(Object.entries(programs))('%s', (_, program) => {
  test('ends in the same way, whatever operation on the disk is the last one', {
    tags: ['W1', 'W2', 'W3', 'W6', 'W9'],
    timeout: 3_600_000,
  }, async () => {
    const { result, calls } = await live(program)
    expect(calls).toBeGreaterThan(5)
    const moments = Array.from({ length: calls }, (_, at) => at + 1)
    for (const at of sampled(moments, 3)) {
      const unsynced = at % 3 === 0 ? 'lost' : at % 3 === 1 ? 'kept' : undefined
      const crashed = await live(program, at, unsynced)
      expect([at, crashed.result]).toEqual([at, result])
    }
  })
})
