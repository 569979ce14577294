/** Steps and alarms that fail: when they are tried again, and what comes when their tries end. */

import { afterEach, describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  type Failed,
  KeelsonError,
  noReply,
  type RetryPolicies,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
  worker,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly done: readonly string[] }
type Messages = {
  calls: {
    charge: (what?: string) => void
    mail: () => void
    remind: (inMs: number) => void
    cancel: () => boolean
    unblock: (worker: string) => boolean
    done: () => readonly string[]
  }
  continues: { charge: (what: string | undefined) => void; mail: () => void }
  alarms: { remind: (what: string) => void }
}

/** What the outside world saw: who tried what, when. */
let tries: { readonly what: string; readonly step: string; readonly at: number }[] = []
/** What each try of this handler throws; `undefined`: it succeeds. */
let thrown: Record<string, unknown> = {}
let failed: Failed<Messages>[] = []

afterEach(() => {
  tries = []
  thrown = {}
  failed = []
})

const attempt = (what: string, { step, now }: { step: string; now(): number }): void => {
  tries.push({ what, step, at: now() })
  if (thrown[what] !== undefined) throw thrown[what]
}

const did = ({ done }: State, what: string): State => ({ done: [...done, what] })

const serverOf = (
  retry?: RetryPolicies<'charge' | 'mail', 'remind'>,
  onFailed?: DurableServer<Messages, State>['onFailed'],
): DurableServer<Messages, State> => ({
  ...(retry && { retry }),
  ...(onFailed && { onFailed }),
  init: () => ({ done: [] }),
  calls: {
    charge: (state, what) => reply(undefined, { ...state }, { continue: ['charge', what] }),
    mail: (state) => reply(undefined, { ...state }, { continue: ['mail'] }),
    remind: (state, inMs, context) => {
      context.setAlarm('remind', { inMs }, 'text')
      return reply(undefined, { ...state })
    },
    cancel: (state, _, context) => reply(context.cancelAlarm('remind'), state),
    unblock: async (state, worker, { app }) => reply(await app.unblockWorker(worker), state),
    done: (state) => reply(state.done, state),
  },
  continues: {
    charge: async (state, what, context) => {
      attempt('charge', { step: context.step, now: () => context.now() })
      return noReply(did(state, what ?? 'charged'))
    },
    mail: (state, _, context) => {
      attempt('mail', { step: context.step, now: () => context.now() })
      return noReply(did(state, 'mailed'))
    },
  },
  alarms: {
    remind: (state, _, context) => {
      attempt('remind', { step: context.step, now: () => context.now() })
      return noReply(did(state, 'reminded'))
    },
  },
})

const world = async (server: DurableServer<Messages, State>, seed = 1) => {
  const kind = entity('order', server, { idleMs: 5_000 })
  const s = await simulated({
    seed,
    app: supervisor('app', {}, [kind, worker('lone', server, { durable: true })]),
  })
  const ask = <N extends keyof Messages['calls']>(name: N, payload?: unknown, id = '1') =>
    s.during(
      call(s.app.entity(kind).ref(id), name, payload as never) as Promise<
        ReturnType<Messages['calls'][N]>
      >,
    )
  const told: unknown[] = []
  const listen = () => {
    const events = telemetry<StorageEvents>(s.system)
    events.on('entity.failed', ({ what, tries: count, retryAt }) =>
      told.push(['failed', what, count, retryAt === undefined ? 'last' : 'again']),
    )
    events.on('entity.parked', ({ what, tries: count }) => told.push(['parked', what, count]))
  }
  listen()
  return { s, kind, ask, told, handle: () => s.app.entity(kind) }
}

/** The pauses between the tries, in ms. */
const pausesOf = (what: string): number[] => {
  const at = tries.filter((each) => each.what === what).map((each) => each.at)
  return at.slice(1).map((ms, index) => ms - (at[index] ?? 0))
}

describe('a policy', () => {
  test('is by default 1 s, doubling to 60 s, less up to a fifth, for ever', async () => {
    const { s, ask } = await world(serverOf())
    thrown = { charge: new Error('no'), remind: new Error('no') }
    await ask('charge')
    await ask('remind', 10)
    await s.advance(600_000)

    for (const what of ['charge', 'remind']) {
      const pauses = pausesOf(what)
      expect(pauses.length).toBeGreaterThan(12)
      for (const [index, ms] of pauses.entries()) {
        const most = Math.min(60_000, 1_000 * 2 ** index)
        expect(ms).toBeGreaterThanOrEqual(most * 0.8)
        expect(ms).toBeLessThanOrEqual(most + 50)
      }
    }
  })

  test('lets steps that fail together be tried again at different times', async () => {
    const { s, ask } = await world(serverOf())
    thrown = { charge: new Error('no') }
    for (let id = 0; id < 100; id++) await ask('charge', undefined, `${id}`)
    await s.settle()
    await s.advance(1_050)

    const seconds = tries.slice(100)
    expect(seconds).toHaveLength(100)
    expect(new Set(seconds.map(({ at }) => at)).size).toBeGreaterThan(50)
  })

  test('of a name goes before that of the server, field by field', async () => {
    const { s, ask, told } = await world(
      serverOf({
        ...{ jitter: 0, baseMs: 10, max: 3, factor: 3 },
        continues: { charge: { factor: 1, max: 4 } },
        alarms: { remind: { maxMs: 15 } },
      }),
    )
    thrown = { charge: new Error('no'), mail: new Error('no'), remind: new Error('no') }
    await ask('charge')
    await s.advance(1_000)
    await ask('mail')
    await s.advance(1_000)
    await ask('remind', 0)
    await s.advance(1_000)

    const rounded = (what: string) => pausesOf(what).map((ms) => Math.round(ms / 5) * 5)
    expect([rounded('charge'), rounded('mail'), rounded('remind')]).toEqual([
      [10, 10, 10],
      [10, 30],
      [10, 15],
    ])
    expect(told.filter((each) => (each as string[])[0] === 'parked')).toEqual([
      ['parked', 'continue charge', 4],
      ['parked', 'continue mail', 3],
      ['parked', 'alarm remind', 3],
    ])
  })

  test('ends the tries at an error that `unless` knows', async () => {
    const { s, ask, handle } = await world(
      serverOf({ continues: { charge: { unless: (error) => error === 'refused' } } }),
    )
    thrown = { charge: 'refused', mail: 'refused' }
    await ask('charge')
    await ask('mail')
    await s.advance(10_000)

    expect(pausesOf('charge')).toEqual([])
    expect(pausesOf('mail').length).toBeGreaterThan(2)
    expect(handle().blocked().get('1')?.message).toContain('continue charge after try 1')
  })

  test('whose `unless` throws has that error, and another try', async () => {
    const { s, ask, told } = await world(
      serverOf({
        max: 2,
        unless: () => {
          throw new Error('broken')
        },
      }),
    )
    thrown = { charge: new Error('no') }
    await ask('charge')
    await s.advance(2_000)

    expect(told).toHaveLength(3)
    expect(s.app.health().actors.parked.first[0]).toMatchObject({
      tries: 2,
      error: 'Error: broken',
    })
  })

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['no object', 5, 'order.module.retry'],
    ['an unknown field', { times: 5 }, 'order.module.retry.times'],
    ['a max of 0', { max: 0 }, 'order.module.retry.max'],
    ['a max that is not whole', { max: 1.5 }, 'order.module.retry.max'],
    ['a max that is no number', { max: '5' }, 'order.module.retry.max'],
    ['no pause', { baseMs: 0 }, 'order.module.retry.baseMs'],
    ['an endless pause', { maxMs: Number.POSITIVE_INFINITY }, 'order.module.retry.maxMs'],
    ['a factor below 1', { factor: 0.5 }, 'order.module.retry.factor'],
    ['a jitter beyond 1', { jitter: 1.1 }, 'order.module.retry.jitter'],
    ['a jitter that is no number', { jitter: Number.NaN }, 'order.module.retry.jitter'],
    ['an unless that is no function', { unless: true }, 'order.module.retry.unless'],
    [
      'a wrong field of a step',
      { continues: { charge: { max: -1 } } },
      'order.module.retry.continues.charge.max',
    ],
    [
      'a step without a handler',
      { continues: { chrge: { max: 1 } } },
      'order.module.retry.continues.chrge',
    ],
    [
      'an alarm without a handler',
      { alarms: { charge: { max: 1 } } },
      'order.module.retry.alarms.charge',
    ],
    ['names that are no object', { alarms: [] }, 'order.module.retry.alarms'],
  ]

  test.each(wrong)('with %s is CONFIG where it is given', (_, retry, path) => {
    const config = () => entity('order', serverOf(retry as never))
    expect(config).toThrow(expect.objectContaining({ code: 'CONFIG' }))
    expect(config).toThrow(expect.objectContaining({ details: expect.objectContaining({ path }) }))
  })

  test('with an onFailed that is no function is CONFIG', () => {
    const config = () => entity('order', serverOf({}, 5 as never))
    expect(config).toThrow(
      expect.objectContaining({
        code: 'CONFIG',
        details: expect.objectContaining({ path: 'order.module.onFailed' }),
      }),
    )
  })
})

describe('when the tries have ended', () => {
  const policy = { max: 3, jitter: 0, baseMs: 100, factor: 1 } as const
  const keeps: NonNullable<DurableServer<Messages, State>['onFailed']> = (state, news, context) => {
    failed.push(news)
    tries.push({ what: 'onFailed', step: context.step, at: context.now() })
    if (thrown.onFailed !== undefined) throw thrown.onFailed
    return noReply(did(state, `${news.name} failed`))
  }

  test('onFailed gets the step with its error, consumes it, and changes the state', async () => {
    const { s, ask, told, handle } = await world(serverOf(policy, keeps))
    thrown = { charge: new KeelsonError('CONFLICT', 'the card is gone', { details: { card: 7 } }) }
    await ask('charge', 'rent')
    await s.advance(10_000)

    const { step } = tries[0] as { readonly step: string }
    expect(failed).toEqual([
      {
        kind: 'continue',
        name: 'charge',
        payload: 'rent',
        step,
        tries: 3,
        error: expect.any(KeelsonError),
      },
    ])
    expect(failed[0]?.error).toMatchObject({ code: 'CONFLICT', message: 'the card is gone' })
    expect(tries.map((each) => each.step)).toEqual([step, step, step, `${step}/failed`])
    expect(await ask('done')).toEqual(['charge failed'])
    expect(told).toEqual([
      ['failed', 'continue charge', 1, 'again'],
      ['failed', 'continue charge', 2, 'again'],
      ['failed', 'continue charge', 3, 'last'],
    ])
    expect([handle().blocked().size, s.app.health().actors.failing.count]).toEqual([0, 0])
  })

  test('onFailed gets an alarm with its payload, and may set it again', async () => {
    const { s, ask } = await world(
      serverOf(policy, (state, news, context) => {
        thrown = {}
        context.setAlarm('remind', { inMs: 500 }, 'again')
        return keeps(state, news, context)
      }),
    )
    thrown = { remind: Object.assign(new TypeError('gone'), { code: 'ENOENT' }) }
    await ask('remind', 10)
    await s.advance(10_000)

    const [{ step } = {}] = tries
    const expected = { kind: 'alarm', name: 'remind', payload: 'text', step, tries: 3 }
    expect(failed[0]).toMatchObject(expected)
    expect(failed[0]?.error).toMatchObject({ name: 'TypeError', message: 'gone', code: 'ENOENT' })
    expect(await ask('done')).toEqual(['remind failed', 'reminded'])
  })

  test('the step is parked without onFailed, and its actor goes on', async () => {
    const { s, ask, handle } = await world(serverOf(policy))
    thrown = { charge: new Error('the bank is away') }
    await ask('charge')
    await ask('mail')
    await ask('remind', 1_000)
    await s.advance(10_000)

    expect(await ask('done')).toEqual(['mailed', 'reminded'])
    const { step, at } = tries.findLast(({ what }) => what === 'charge') as (typeof tries)[number]
    const row = {
      ...{ entity: 'order/1', what: 'continue charge', step, tries: 3, at: expect.any(Number) },
      error: 'Error: the bank is away',
    }
    expect([...handle().blocked()]).toEqual([
      [
        '1',
        expect.objectContaining({ code: 'BLOCKED', details: { entity: 'order/1', parked: [row] } }),
      ],
    ])
    const { actors } = s.app.health()
    expect(actors.parked).toEqual({ count: 1, first: [row] })
    expect([actors.failing.count, actors.blocked.count, actors.overdue.count]).toEqual([0, 0, 0])
    await s.advance(600_000)
    expect(tries.filter(({ what }) => what === 'charge').at(-1)?.at).toBe(at)
  })

  test('unblock lets parked steps and alarms run again, with all their tries', async () => {
    const { s, ask, handle, told } = await world(serverOf(policy))
    thrown = { charge: new Error('no'), remind: new Error('no') }
    await ask('charge')
    await ask('remind', 10)
    await s.advance(10_000)
    expect(handle().blocked().size).toBe(1)
    expect(told.splice(0)).toHaveLength(8)

    expect(await s.during(handle().unblock('1'))).toBe(true)
    await s.advance(10_000)
    expect(told.filter((each) => (each as string[])[1] === 'continue charge')).toEqual([
      ['failed', 'continue charge', 1, 'again'],
      ['failed', 'continue charge', 2, 'again'],
      ['failed', 'continue charge', 3, 'last'],
      ['parked', 'continue charge', 3],
    ])
    thrown = {}
    const both = [handle().unblock('1'), handle().unblock('1')]
    expect(await s.during(Promise.all(both))).toEqual([true, false])
    await s.advance(10)

    expect([...(await ask('done'))].sort()).toEqual(['charged', 'reminded'])
    expect(
      new Set(tries.filter(({ what }) => what === 'charge').map(({ step }) => step)).size,
    ).toBe(1)
    expect([handle().blocked().size, await handle().unblock('1')]).toEqual([0, false])
  })

  test('what is parked stays parked over a power cut, and is found without waking its actor', async () => {
    const { s, ask, handle } = await world(serverOf(policy))
    thrown = { charge: new Error('no'), remind: new Error('no') }
    await ask('charge')
    await ask('remind', 10)
    await s.advance(10_000)
    const before = handle().blocked().get('1')?.details
    const count = tries.length
    await s.powerCut()
    await s.start()
    await s.advance(100_000)

    expect(handle().blocked().get('1')?.details).toEqual(before)
    expect([tries.length, s.app.entities.holder('order/1')]).toEqual([count, undefined])
    thrown = {}
    expect(await s.during(handle().unblock('1'))).toBe(true)
    await s.advance(10)
    expect([...(await ask('done'))].sort()).toEqual(['charged', 'reminded'])
  })

  test('an actor with a parked step rests, stops, and is deleted with all its rows', async () => {
    const { s, ask, handle } = await world(serverOf(policy))
    thrown = { charge: new Error('no'), remind: new Error('no') }
    await ask('charge')
    await ask('remind', 10)
    await s.advance(10_000)
    expect(s.app.entities.holder('order/1')).toBeUndefined()
    await ask('done')
    expect(await s.during(handle().stop('1'))).toBe(true)
    expect(handle().blocked().size).toBe(1)

    expect(await s.during(handle().delete('1'))).toBe(true)
    expect([handle().blocked().size, handle().state('1')]).toEqual([0, undefined])
    expect(await ask('done')).toEqual([])
  })

  test('a parked alarm is replaced by another setting, and cancelled like any other', async () => {
    const { s, ask, handle } = await world(serverOf(policy))
    thrown = { remind: new Error('no') }
    await ask('remind', 10)
    await s.advance(5_000)
    expect(handle().blocked().size).toBe(1)
    thrown = {}
    await ask('remind', 10)
    expect(handle().blocked().size).toBe(0)
    await s.advance(50)
    expect(await ask('done')).toEqual(['reminded'])

    thrown = { remind: new Error('no') }
    await ask('remind', 10)
    await s.advance(5_000)
    expect(await ask('cancel')).toBe(true)
    expect([handle().blocked().size, await handle().unblock('1')]).toEqual([0, false])
  })

  test('a throw of onFailed parks the step with that error', async () => {
    const { s, ask, handle } = await world(serverOf(policy, keeps))
    thrown = { charge: new Error('the bank is away'), onFailed: new Error('nobody to tell') }
    await ask('charge')
    await s.advance(10_000)

    expect(failed).toHaveLength(1)
    expect(s.app.health().actors.parked.first).toMatchObject([
      { what: 'continue charge', tries: 3, error: 'Error: nobody to tell' },
    ])
    thrown = { charge: new Error('the bank is away') }
    await s.during(handle().unblock('1'))
    await s.advance(10_000)
    expect(await ask('done')).toEqual(['charge failed'])
    expect(tries.filter(({ what }) => what === 'onFailed').map(({ step }) => step)).toEqual(
      Array(2).fill(`${tries[0]?.step}/failed`),
    )
  })

  test('onFailed runs after a crash too, with the recorded error, and no further try', async () => {
    let isHeld = true
    const { s, ask } = await world(
      serverOf(policy, async (state, news, context) => {
        if (isHeld) await new Promise(() => undefined)
        return keeps(state, news, context)
      }),
    )
    thrown = { charge: new KeelsonError('CONFLICT', 'gone') }
    await ask('charge')
    await s.advance(1_000)
    expect([tries.length, failed.length]).toEqual([3, 0])
    await s.powerCut()
    isHeld = false
    await s.start()
    await s.advance(5_000)

    expect(failed).toMatchObject([{ name: 'charge', tries: 3, error: { code: 'CONFLICT' } }])
    expect(tries.filter(({ what }) => what === 'charge')).toHaveLength(3)
  })

  test('a step of a durable worker is parked, and run by unblockWorker, of an actor too', async () => {
    const { s, ask } = await world(serverOf(policy))
    const lone = () => s.system.to<Messages>('lone' as never)
    const parked = async (what: string) => {
      thrown = { charge: new Error('no') }
      await s.during(call(lone(), 'charge', what))
      await s.advance(10_000)
      expect(s.app.health().actors.parked).toMatchObject({
        count: 1,
        first: [{ entity: '$worker/lone', what: 'continue charge' }],
      })
      thrown = {}
    }
    await parked('rent')
    expect(await s.during(s.app.unblockWorker('lone'))).toBe(true)
    await s.advance(10)
    await parked('heating')
    expect(await ask('unblock', 'lone')).toBe(true)
    await s.advance(10)

    expect(await s.during(call(lone(), 'done'))).toEqual(['rent', 'heating'])
    expect(await s.app.unblockWorker('lone')).toBe(false)
    await expect(s.app.unblockWorker('{')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
