/** The tries of steps: how many there are, their signals after their ends, and what their events and their health tell. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowEvents, workflow } from '../../../src/flow/index.ts'
import { telemetry } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const never = (): Promise<never> => new Promise(() => undefined)
const refuse = (): never => {
  throw new Error('no')
}

/** Runs a workflow to its end. */
const ran = async (body: (ctx: Ctx) => Promise<unknown>, options = {}) => {
  const type = workflow('ran', body, options)
  const w = await flowWorld([type])
  const failed: unknown[] = []
  telemetry<FlowEvents>(w.s.system).on('flow.failed', ({ key, tries, retryAt }) => {
    failed.push([key, tries, retryAt === undefined ? 'last' : retryAt - w.s.clock.now()])
  })
  const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
  const end = await w.during(run.result({ timeoutMs: 3_000_000 }).catch((error) => error.cause))
  return { w, end, failed }
}

describe('a step', () => {
  test('of once has one try, whatever its workflow says, and may say so itself', async () => {
    const tries: unknown[] = []
    const retry = { max: 5, baseMs: 1 }
    const { end, w } = await ran(
      async (ctx) => {
        const once = (key: string, options = {}) =>
          ctx
            .step(
              key,
              () => {
                tries.push(key)
                refuse()
              },
              { repeat: 'once', ...options },
            )
            .catch((error: Error) => error.message)
        return [await once('a'), await once('b', { retry: { max: 1 } })]
      },
      { stepDefaults: { retry } },
    )
    expect(tries).toEqual(['a', 'b'])
    expect(end).toEqual(['no', 'no'])
    expect(w.flow.steps({ sort: 'workflow', name: 'ran' }, '1').entries).toMatchObject([
      ...[
        { key: 'a', tries: 1, outcome: 'error' },
        { key: 'b', tries: 1, outcome: 'error' },
      ],
    ])
  })

  test('has the time-out of its workflow, and its own instead', async () => {
    const { end } = await ran(
      async (ctx) => [
        ctx.now(),
        await codeOf(ctx.step('a', never)),
        ctx.now(),
        await codeOf(ctx.step('b', never, { timeout: '3s' })),
        ctx.now(),
      ],
      { stepDefaults: { timeout: '20s', retry: { max: 1 } } },
    )
    const [begin, a, first, b, second] = end as [number, string, number, string, number]
    expect([a, b]).toEqual(['TIMEOUT', 'TIMEOUT'])
    const seconds = [first - begin, second - first].map((ms) => Math.round(ms / 100) / 10)
    expect(seconds).toEqual([20, 3])
  })

  test('emits each failure with the time of the next try, and the last one without', async () => {
    const { failed } = await ran((ctx) =>
      ctx.step('call', refuse, { retry: { max: 3, baseMs: 1_000, jitter: 0 } }),
    )
    const pauses = failed as [string, number, unknown][]
    expect(pauses.map(([key, tries]) => [key, tries])).toEqual([
      ...[
        ['call', 1],
        ['call', 2],
        ['call', 3],
      ],
    ])
    expect(pauses.map(([, , pause]) => pause === 'last')).toEqual([false, false, true])
  })

  test('is in the health of its instance while it fails, and no longer', async () => {
    const retry = { max: 3, baseMs: 60_000, factor: 1, jitter: 0 }
    const calls = workflow('calls', async (ctx: Ctx<{ go: undefined }>, isGood: boolean) => {
      const call = ({ attempt }: { attempt: number }) => (isGood && attempt === 2 ? 1 : refuse())
      await ctx.step('call', call, { retry }).catch(() => undefined)
      await ctx.waitFor('go')
    })
    const w = await flowWorld([calls])
    const failing = () =>
      w.s.app
        .health()
        .actors.failing.first.map(({ entity, tries }) => `${entity} ${tries}`)
        .sort()
    for (const id of ['good', 'bad', 'cancelled', 'forced', 'killed'])
      await w.during(w.flow.start(calls, id === 'good', { id }))
    await w.s.advance(10_000)
    const named = (...ids: string[]) => ids.map((id) => `$flow-calls/${id}`)
    expect(failing()).toEqual(named('bad 1', 'cancelled 1', 'forced 1', 'good 1', 'killed 1'))
    await w.during(w.flow.handle(calls, 'cancelled').cancel())
    await w.during(w.flow.handle(calls, 'forced').cancel({ force: true }))
    await w.s.advance(1_000)
    expect(failing()).toEqual(named('bad 1', 'good 1', 'killed 1'))
    await w.crash()
    await w.s.advance(60_000)
    expect(failing()).toEqual(named('bad 2', 'killed 2'))
    await w.s.advance(60_000)
    expect(failing()).toEqual([])
  })
})

describe('the signal of a try', () => {
  test('that has ended is aborted by nothing: no time-out, no end of its run, no close', async () => {
    const aborted: unknown[] = []
    const steps = workflow('steps', async (ctx: Ctx<{ go: undefined }>) => {
      const listen = ({ signal }: { signal: AbortSignal }) =>
        signal.addEventListener('abort', () => aborted.push(signal.reason))
      await ctx.step('good', (attempt) => void listen(attempt), { timeout: '10s' })
      await ctx
        .step(
          'bad',
          (attempt) => {
            listen(attempt)
            refuse()
          },
          { timeout: '10s', retry: { max: 2, baseMs: 1_000 } },
        )
        .catch(() => undefined)
      await ctx.sleep('nap', '20s')
    })
    const w = await flowWorld([steps])
    for (const id of ['ends', 'closes']) await w.during(w.flow.start(steps, undefined, { id }))
    await w.s.advance(15_000)
    await w.during(w.flow.handle(steps, 'ends').cancel())
    await w.s.advance(1_000)
    expect([w.status(steps, 'ends'), w.status(steps, 'closes')]).toEqual(['cancelled', 'waiting'])
    await w.s.close()
    expect(aborted).toEqual([])
  })
})
