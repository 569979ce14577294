/** Branches of a run beside one another. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

describe('branches', () => {
  const branching = (
    options: Parameters<Ctx['all']>[2],
    aborted: string[],
    log: string[],
    clock: () => { after(ms: number, action: () => void): unknown },
  ) =>
    workflow('branches', async (ctx: Ctx) => {
      const branch = (n: number) => async (own: Ctx) =>
        own.step(
          'wait',
          ({ signal }) => {
            log.push(`begin ${n}`)
            return new Promise<number>((resolve, reject) => {
              signal.addEventListener('abort', () => {
                aborted.push(`${n}`)
                reject(signal.reason)
              })
              clock().after(Math.abs(n) * 1_000, () =>
                n < 0 ? reject(new Error('no')) : resolve(n),
              )
            })
          },
          { retry: { max: 1 } },
        )
      const ends = await ctx.all('b', [3, -1, 2, 4].map(branch), options)
      return ends.map((end) => (end.ok ? end.value : (end.error as { message: string }).message))
    })

  test.each([
    ['fail at the first failure, and the rest is cancelled', {}, 'FAILED', ['2', '3', '4']],
    [
      'collect failures if they are asked to',
      ...([{ onFailure: 'collect' }, [3, 'no', 2, 4], []] as const),
    ],
    [
      'end with the first success, and the rest is cancelled',
      ...([
        { wait: 'any', onFailure: 'collect' },
        ['the rest was cancelled', 'no', 2, 'the rest was cancelled'],
        ['3', '4'],
      ] as const),
    ],
    [
      'end with enough successes',
      ...([
        { wait: 2, onFailure: 'collect' },
        [3, 'no', 2, 'the rest was cancelled'],
        ['4'],
      ] as const),
    ],
    [
      'run so many at once',
      ...([
        { wait: 'any', onFailure: 'collect', atOnce: 1 },
        [3, ...Array(3).fill('the rest was cancelled')],
        [],
      ] as const),
    ],
  ] as const)('%s', async (_, options, expected, stopped) => {
    const [aborted, log]: [string[], string[]] = [[], []]
    const all = branching(options as never, aborted, log, () => w.s.clock)
    const w = await flowWorld([all])
    const run = await w.during(w.flow.start(all, undefined, { id: '1' }))

    const result = await w.during(run.result().catch((error) => error.code))
    expect(result).toEqual(expected)
    expect(aborted.sort()).toEqual(stopped)
    await w.crash()
    expect(
      await w.during(
        w.flow
          .handle(all, '1')
          .result()
          .catch((error) => error.code),
      ),
    ).toEqual(expected)
  })

  test('come out the same in a replay, in which their outcomes come at once', {
    tags: ['W2'],
  }, async () => {
    const races = workflow('races', async (ctx: Ctx) => {
      const won = await Promise.race([
        ctx.step('slow', () => pause(3_000)),
        ctx.step('quick', () => pause(1_000)),
      ])
      await ctx.sleep('pause', '10s')
      return [won, await ctx.step('last', () => 'last')]
    })
    const w = await flowWorld([races])
    const pause = (ms: number): Promise<number> =>
      new Promise((resolve) => void w.s.clock.after(ms, () => resolve(ms)))
    await w.during(w.flow.start(races, undefined, { id: '1' }))
    await w.s.advance(5_000)
    await w.crash()

    expect(await w.during(w.flow.handle(races, '1').result())).toEqual([1_000, 'last'])
  })
})
