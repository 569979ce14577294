/**
 * Twenty changes of one program, planted one by one, and judged on the data that the program has written.
 * Each finding that says *blocks* is compared with a real start of the changed program.
 */
import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { type Ctx, type Finding, flow, flows, schedule, workflow } from '../../../src/flow/index.ts'
import {
  type AppTree,
  call,
  type DurableServer,
  entity,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Own = Ctx<{ approval: string; confirmed: string }>
type Body = (ctx: Own) => Promise<unknown>

/** What steps, alarms and continues have done. */
const effects: string[] = []
const does = (what: string): string => {
  effects.push(what)
  return what
}

type AccountMessages = {
  calls: { open: () => void; get: () => unknown }
  continues: { mail: () => void }
  alarms: { remind: () => void }
}
type Account = { readonly name: string }
type AccountServer = DurableServer<
  AccountMessages,
  Account | undefined,
  { name: string | undefined },
  string,
  unknown
>

const account = (changes: Partial<AccountServer> = {}): AccountServer => ({
  version: 1,
  init: () => undefined,
  index: (state) => ({ name: state?.name }),
  calls: {
    open: (_, __, context) => {
      context.setAlarm('remind', { inMs: 86_400_000 })
      context.addContinue('mail')
      return reply(undefined, { name: 'anna' })
    },
    get: (state) => reply(state, state),
  },
  continues: {
    mail: () => {
      throw new Error('the mail host is away')
    },
  },
  alarms: { remind: (state) => noReply(state) },
  retry: { max: 1_000, baseMs: 600_000, maxMs: 600_000 },
  ...changes,
})

type Light = { readonly target?: string; readonly guard?: () => boolean }
const light = ({ target = 'red', guard = () => true }: Light = {}) => {
  const machine = setup({
    types: {} as { events: { type: 'go' } | { type: 'status' } },
    guards: { may: () => guard() },
  }).createMachine({
    id: 'light',
    initial: 'off',
    states: { off: { on: { go: { target, guard: 'may' } } }, red: {}, green: {} },
  })
  return StateMachine.durable(
    machine as never,
    {
      version: 1,
      answers: { go: ({ value }: { value: unknown }) => value },
    } as never,
  ) as never
}

type CountMessages = { calls: { add: () => number } }
const counter: DurableServer<CountMessages, number, Record<never, never>, undefined, unknown> = {
  init: () => 0,
  calls: { add: (count) => reply(count + 1, count + 1) },
}

const step = (ctx: Own, key: string): Promise<unknown> => ctx.step(key, () => does(key))

const order: Body = async (ctx) => {
  await step(ctx, 'reserve')
  await ctx.all('both', [(own: Own) => step(own, 'a'), (own: Own) => step(own, 'b')])
  await ctx.child('packed', pack, undefined)
  await step(ctx, 'charge')
  await ctx.waitFor('approval')
  await step(ctx, 'send')
}
const pack = workflow('pack', async () => 'packed')
const wrap = workflow('wrap', async () => 'wrapped')

/** A program: the one that wrote the data, but for the changes. */
type Program = {
  readonly body?: Body
  readonly workflow?: Parameters<typeof workflow>[2]
  readonly account?: Partial<AccountServer>
  readonly kind?: string
  readonly light?: Light
  readonly worker?: string
  readonly cron?: string
}

const program = (changes: Program = {}): AppTree => {
  const orders = workflow('order', changes.body ?? order, changes.workflow)
  const night = workflow('night', async () => undefined)
  return supervisor('app', {}, [
    entity(changes.kind ?? 'account', account(changes.account)),
    entity('light', light(changes.light), { record: { inputs: true } }),
    worker(changes.worker ?? 'visits', counter as never, { durable: true } as never),
    flows({
      workflows: [orders, pack, wrap, night],
      schedules: [schedule('nightly', changes.cron ?? '0 3 * * *', night as never)],
    }),
  ])
}

/** The steps of the body, with some replaced. */
const bodyOf =
  (...does: ((ctx: Own) => Promise<unknown>)[]): Body =>
  async (ctx) => {
    for (const act of does) await act(ctx)
  }
const reserve = (ctx: Own) => step(ctx, 'reserve')
const both = (ctx: Own) =>
  ctx.all('both', [(own: Own) => step(own, 'a'), (own: Own) => step(own, 'b')])
const packs = (ctx: Own) => ctx.child('packed', pack, undefined)
const charge = (ctx: Own) => step(ctx, 'charge')
const approval = (ctx: Own) => ctx.waitFor('approval')
const send = (ctx: Own) => step(ctx, 'send')

/** An instance with the data: one run that rests, one that has ended 5 days ago, and actors. */
const written = async () => {
  const s = await simulated({ app: program() })
  const orders = { sort: 'workflow', name: 'order' } as ReturnType<typeof workflow>
  const start = async (id: string) => {
    const run = await s.during(flow(s.app).start(orders as never, undefined as never, { id }))
    await s.advance(5_000)
    return run
  }
  const first = await start('ended')
  await s.during(first.signal('approval' as never, 'yes' as never))
  await s.advance(86_400_000 * 5)
  await start('rests')
  const anna = s.app.entity<AccountMessages>('account').ref('anna')
  await s.during(call(anna, 'open'))
  await s.during(
    StateMachine.call(s.app.entity('light').ref('hall') as never, { type: 'go' } as never),
  )
  await s.during(call(s.app.system.whereis('visits' as never) as never, 'add' as never))
  await s.advance(3_000)
  return s
}

type World = Awaited<ReturnType<typeof written>>

const judged = async (s: World, app: AppTree): Promise<readonly Finding[]> => {
  const before = effects.length
  const { findings } = await s.during(rehearse({ from: s.app, app }), { withinMs: 60_000 })
  expect(effects.slice(before)).toEqual([])
  return findings
}

/** The end of a call: `ok`, or its code. */
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error) => String(error.code),
  )

/** Starts the program on the data, and lets everything wake: what became of each actor, as its findings say it. */
const wokenBy = async (s: World, app: AppTree): Promise<Readonly<Record<string, string>>> => {
  await s.kill()
  await s.start({ app })
  const orders = { sort: 'workflow', name: 'order' } as never
  const signal = flow(s.app)
    .handle(orders, 'rests')
    .signal('approval' as never, 'yes' as never)
  await s.during(codeOf(signal))
  const account = async () => call(s.app.entity('account').ref('anna') as never, 'get' as never)
  const light = async () =>
    StateMachine.call(s.app.entity('light').ref('hall') as never, { type: 'go' } as never)
  const called = await s.during(codeOf(account()))
  const asked = await s.during(codeOf(light()))
  await s.advance(86_400_000 * 2)
  const state = s.app.entity('$flow-order').state('rests') as { readonly status: string }
  const { actors } = s.app.health()
  const isLacking = /UNSUPPORTED_VERSION|handler/.test(JSON.stringify(actors))
  return {
    'workflow order': state.status,
    'entity account': called === 'ok' && isLacking ? 'no handler' : called,
    'entity light': asked,
  }
}

type Planted = readonly [
  changes: Program,
  found: readonly (readonly [level: Finding['level'], what: string, kind: string])[],
]

const runs = 'workflow order'
const blocks = (what: string, kind: string) => ['blocks', what, kind] as const
const acts = (what: string, kind: string) => ['acts', what, kind] as const
const notes = (what: string, kind: string) => ['notes', what, kind] as const
const bothRuns = [blocks('DIVERGED', runs), acts('ended, and DIVERGED', runs)]

const planted: Readonly<Record<string, Planted>> = {
  'a step is removed': [{ body: bodyOf(both, packs, charge, approval, send) }, bothRuns],
  'a step is inserted': [
    { body: bodyOf(reserve, (ctx) => step(ctx, 'new'), both, packs, charge, approval, send) },
    bothRuns,
  ],
  'a step is renamed': [
    { body: bodyOf(reserve, both, packs, (ctx) => step(ctx, 'bill'), approval, send) },
    bothRuns,
  ],
  'a step moves between branches': [
    {
      body: bodyOf(
        reserve,
        (ctx) => ctx.all('both', [(own: Own) => step(own, 'b'), (own: Own) => step(own, 'a')]),
        packs,
        charge,
        approval,
        send,
      ),
    },
    bothRuns,
  ],
  'a step changes after the wait': [
    { body: bodyOf(reserve, both, packs, charge, approval, (ctx) => step(ctx, 'ship')) },
    [acts('ended, and DIVERGED', runs)],
  ],
  'an operation has another kind': [
    { body: bodyOf((ctx) => ctx.sleep('reserve', 1), both, packs, charge, approval, send) },
    bothRuns,
  ],
  'a signal is renamed': [
    { body: bodyOf(reserve, both, packs, charge, (ctx) => ctx.waitFor('confirmed'), send) },
    [acts('would wait otherwise', runs), acts('ended, and DIVERGED', runs)],
  ],
  'a child is of another workflow': [
    {
      body: bodyOf(
        reserve,
        both,
        (ctx) => ctx.child('packed', wrap, undefined),
        charge,
        approval,
        send,
      ),
    },
    bothRuns,
  ],
  'the body ends too early': [{ body: bodyOf(reserve, both) }, bothRuns],
  'a version has no body': [{ workflow: { version: 2 } }, [blocks('UNSUPPORTED_VERSION', runs)]],
  'migrate is missing': [{ account: { version: 2 } }, [blocks('BLOCKED', 'entity account')]],
  'migrate throws': [
    {
      account: {
        version: 2,
        migrate: () => {
          throw new Error('a mistake')
        },
      },
    },
    [blocks('BLOCKED', 'entity account')],
  ],
  'a machine has another target': [
    { light: { target: 'green' } },
    [blocks('BLOCKED', 'entity light'), notes('a recorded turn was not run again', 'entity light')],
  ],
  'an alarm is renamed': [
    { account: { alarms: { nag: (state: unknown) => noReply(state) } as never } },
    [blocks('no handler', 'entity account')],
  ],
  'a continue is renamed': [
    { account: { continues: { write: (state: unknown) => noReply(state) } as never } },
    [blocks('no handler', 'entity account')],
  ],
  'a worker is renamed': [{ worker: 'counts' }, [blocks('is not in the tree', 'worker visits')]],
  'retry is shortened': [
    { account: { retry: { max: 1 } } },
    [acts('has no try left', 'entity account')],
  ],
  'keep is shortened': [{ workflow: { keep: { completed: '1d' } } }, [acts('shorter keep', runs)]],
  'a cron pattern moves': [{ cron: '0 4 * * *' }, [acts('next time moves', 'schedule nightly')]],
}

const shown = (findings: readonly Finding[]) =>
  findings.map(({ level, what, kind }) => [level, what, kind])

describe.each(Object.entries(planted))('%s', (_, [changes, expected]) => {
  test('is found, and nothing else is', { tags: ['RE1', 'RE4'] }, async () => {
    const s = await written()

    const found = await judged(s, program(changes))

    expect(shown(found).sort()).toEqual([...expected].sort())
    for (const { examples, fix } of found)
      expect([examples.length, fix.length > 5]).toEqual([1, true])
    const stops = found.filter(
      ({ level, kind }) => level === 'blocks' && !kind.startsWith('worker'),
    )
    if (stops.length === 0) return
    const woken = await wokenBy(s, program(changes))
    for (const { what, kind } of stops)
      expect(woken[kind]).toBe(kind === 'workflow order' ? 'blocked' : what)
  })
})

test('the program that wrote the data stops nothing when it wakes', async () => {
  const s = await written()

  expect(await wokenBy(s, program())).toEqual({
    'workflow order': 'completed',
    'entity account': 'ok',
    'entity light': 'ok',
  })
})

test('the code of a guard is found by a turn that was recorded', async () => {
  const s = await written()

  expect(await judged(s, program({ light: { guard: () => false } }))).toMatchObject([
    { level: 'acts', what: 'a recorded turn differs', kind: 'entity light', count: 1 },
  ])
})

test('the program that wrote the data finds nothing, and nothing is written for it', {
  tags: ['RE3', 'RE7'],
}, async () => {
  const s = await written()
  const before = s.app.health().shards.map(({ appliedLsn }) => appliedLsn)

  expect(await judged(s, program())).toEqual([])
  expect(s.app.health().shards.map(({ appliedLsn }) => appliedLsn)).toEqual(before)
})
