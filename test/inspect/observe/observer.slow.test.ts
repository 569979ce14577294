/** The answers of an instance to the page: what each view shows, and what none shows. */
import { beforeEach, describe, expect, test } from 'vitest'
import { flow } from '../../../src/flow/index.ts'
import { call, cast } from '../../../src/index.ts'
import type { Asked } from '../../../src/inspect/attach/attach-protocol.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import type { Header } from '../../../src/observe/index.ts'
import { heardIn } from '../../../src/runtime/index.ts'
import {
  canary,
  markup,
  type Observed,
  observedInstance,
  secrets,
  unsteady,
} from '../../support/worlds/observed-instance.ts'
import { pageServed } from '../../support/worlds/page-client.ts'

let { app, during, advance, observer, told, look, refused, pidOf } = {} as Observed

beforeEach(async () => {
  ;({ app, during, advance, observer, told, look, refused, pidOf } = await observedInstance())
})

/** The world has a failed run and a dead job, with a line each. */
const isOfFlow = ({ text }: { readonly text: string }): boolean => /^(order\/|mails:)/.test(text)

describe('the views', () => {
  test('show an entity at rest with its fields, without waking it, and a machine with its states', async () => {
    await during(app.entity('acct').stop(markup))
    const shown = await look('entity', { kind: 'acct', id: markup })

    expect(shown.pid).toBeUndefined()
    expect(shown.born).toMatchObject({ seq: 1, state: { members: [['number', '…']] } })
    expect(app.entity('acct').ref(markup).pid).toBeUndefined()
    expect((await look('process', { pid: String(pidOf('gate')) })).machine).toMatchObject({
      value: 'shut',
      states: [{ path: [] }, { path: ['shut'] }, { path: ['open'], isFinal: true }],
    })
  })

  test('show the turns of an entity, and its state after one of them', async () => {
    const asked = { kind: 'acct', id: markup }
    await during(call(app.entity('acct').ref(markup), 'ask' as never))
    const { turns } = await look('history', asked)
    const [last, first] = turns

    expect(turns.map(({ seq }) => seq)).toEqual([2, 1])
    expect((await look('history', { ...asked, limit: '1' })).before).toBe(last?.lsn)
    expect((await look('history', { ...asked, before: String(last?.lsn) })).turns).toEqual([first])
    expect(await look('past', { ...asked, lsn: String(first?.lsn) })).toMatchObject({
      lsn: first?.lsn,
      state: { members: [['number', '…']] },
    })
    expect(await refused({ look: 'past', query: { ...asked, lsn: '1' } })).not.toBe('none')
  })

  test('show a crash with its reason in the overview, at its process and in the log', async () => {
    const pid = pidOf('open')
    await during(
      call(
        app.system.processes().find((each) => each.pid === pid)?.ref as never,
        'fail' as never,
      ).catch(() => undefined),
    )
    await advance(100)

    const { recent } = await look('overview')
    expect(recent).toContainEqual(
      expect.objectContaining({
        sort: 'crash',
        subject: 'open',
        reason: expect.stringContaining(markup),
      }),
    )
    expect(JSON.stringify(await look('tree'))).toMatch(/"name":"open"[^{}]*"reason":"[^"]*img src/)
    expect((await look('process', { pid: pidOf('open') })).events).toContainEqual(
      expect.objectContaining({ sort: 'restart', subject: 'open' }),
    )
    // The lines of the log about the crash are found by their sort alone.
    const { lines } = await look('log')
    const shown = lines.filter(
      (line) => (line.sort === 'log' && !isOfFlow(line)) || line.subject === 'open',
    )
    expect(shown.map(({ sort }) => sort).toSorted()).toEqual(['crash', 'restart'])
    const told = (await look('log', { sort: 'log' })).lines
    expect(told.filter(({ text }) => text.includes(markup))).not.toEqual([])
  })

  test('of a process that is busy leave no message in its mailbox', async () => {
    const stuckOne = app.system.processes().find(({ label }) => label === 'stuck')
    cast(stuckOne?.ref as never, 'wait' as never)
    await advance(1_000)
    await look('process', { pid: String(stuckOne?.pid) })
    const shown = await look('process', { pid: String(stuckOne?.pid) })

    expect(shown.row).toMatchObject({ status: 'busy', mailbox: 0 })
    expect(shown.stateless).toBe('BUSY: its state is shown when it has handled cast wait')
  })

  test('say of a turn of a run which operation it recorded', async () => {
    const { turns } = await look('history', { kind: '$flow-order', id: '1' })
    expect(turns.map(({ cause }) => cause)).toContain('step reserve')
  })

  test('show in the tree why a process ended last', async () => {
    app.system.kill(app.system.processes().find((each) => each.label === 'open')?.ref as never)
    await advance(10)

    const found = JSON.stringify(await look('tree'))
    expect(found).toContain('"name":"open"')
    expect(found).toMatch(/"reason":"[^"]*kill/)
  })

  test('follow a process that ends again and again', async () => {
    const pid = pidOf('open')
    const refOf = (pid: number) =>
      app.system.processes().find((each) => each.pid === pid)?.ref as never
    await during(call(refOf(pid), 'fail' as never).catch(() => undefined))
    await advance(10)
    const shown = await look('process', { pid: String(pid) })
    expect(shown).toMatchObject({ replaces: pid, row: { pid: pidOf('open'), name: 'open' } })

    // Of one that was shown the title is known without an event of its own.
    const by = observer()
    const gate = pidOf('gate')
    const gateShown = () => look('process', { pid: String(gate) }, by)
    await gateShown()
    app.system.kill(refOf(gate))
    await advance(10)
    expect(await gateShown()).toMatchObject({ replaces: gate, row: { pid: pidOf('gate') } })
    expect(await look('process', { pid: String(pidOf('open')) })).not.toHaveProperty('replaces')
    expect(await refused({ look: 'process', query: { pid: '999999' } })).toBe('NO_PROCESS')
  })

  test('say when there were more crashes than are recorded', async () => {
    const records = recordsOf(app.system)
    const at = app.system.clock.now()
    const crash = { kind: 'server', code: 'error', subject: 'open', pid: 1, text: 'gone' }
    const head = async () =>
      ((await told({ look: 'header', query: {} })) as { header: Header }).header
    for (let count = 0; count < 500; count++) records.add({ ...crash, sort: 'crash', at })
    expect(await head()).toMatchObject({ crashes: 500, areCrashesMore: false })
    records.add({ ...crash, sort: 'crash', at })
    expect(await head()).toMatchObject({ crashes: 500, areCrashesMore: true })
    await advance(700_000)
    expect(await head()).toMatchObject({ crashes: 0, areCrashesMore: false })
  })

  test('name what is in trouble, and where to look', async () => {
    const pid = pidOf('open')
    const begun = app.system.clock.now()
    for (let at = 0; at < 3; at++) {
      app.system.kill(app.system.processes().find((each) => each.label === 'open')?.ref as never)
      await advance(10)
    }

    expect(pidOf('open')).not.toBe(pid)
    expect((await look('overview')).troubles).toEqual([
      expect.objectContaining({
        ...{ severity: 'critical', kind: 'crash loop', subject: 'app/open', since: begun },
      }),
      expect.objectContaining({ severity: 'critical', kind: 'dead jobs', subject: 'mails' }),
      expect.objectContaining({ severity: 'warning', kind: 'run failed' }),
    ])
  })

  test('name a step that does not end, in the overview, at its entity and at its process', async () => {
    const by = observer()
    await during(call(app.entity('acct').ref('9'), 'hang' as never))
    await look('overview', {}, by)
    await advance(300_000)
    await look('overview', {}, by)
    await advance(10)
    const { troubles, pending } = await look('overview', {}, by)
    const { pid, born } = await look('entity', { kind: 'acct', id: '9' })

    expect(troubles.filter(({ subject }) => subject === 'acct/9')).toEqual([
      expect.objectContaining({ kind: 'hanging step', text: 'step hang runs for 5 min' }),
    ])
    expect(pending).toMatchObject([{ name: 'acct/9', message: 'step hang' }])
    expect(born?.steps).toMatchObject([{ name: 'hang', runsSince: expect.any(Number) }])
    const { row } = await look('process', { pid: String(pid) })
    expect(row.handling?.message).toBe('step hang')
  })

  test('fold the events of a crash loop into two lines, and keep the others in sight', async () => {
    const refOf = (label: string) =>
      app.system.processes().find((each) => each.label === label)?.ref as never
    app.system.kill(refOf('gate'))
    await advance(1_000)
    for (let at = 0; at < 30; at++) {
      await during(call(refOf('open'), 'fail' as never).catch(() => undefined))
      await advance(1_000)
    }

    const { recent } = await look('overview')
    expect(recent.filter(({ subject }) => subject === 'open')).toMatchObject([
      { sort: 'crash', times: 30 },
      { sort: 'restart', times: 30 },
    ])
    expect(recent.filter(({ subject }) => subject === 'gate')).toMatchObject([{ sort: 'restart' }])
    expect(recent.filter((line) => line.sort === 'log' && !isOfFlow(line))).toEqual([])
  })

  test('lead from an event to its actor, its run, or its process if that has not ended', async () => {
    await during(call(app.entity('acct').ref('7'), 'plan' as never))
    await during(flow(app).start(unsteady, undefined, { id: '2' }))
    app.system.kill(app.system.processes().find(({ label }) => label === 'gate')?.ref as never)
    await advance(100)

    const { recent } = await look('overview')
    const linkOf = (subject: string) => recent.find((event) => event.subject === subject)?.link
    expect(linkOf('acct/7')).toEqual({ view: 'entity', parts: ['acct', '7'] })
    expect(linkOf('unsteady/2')).toEqual({ view: 'run', parts: ['unsteady', '2'] })
    expect(linkOf('gate')).toEqual({ view: 'process', parts: [String(pidOf('gate'))] })
    expect((await look('log')).lines).toContainEqual(
      expect.objectContaining({ link: { view: 'entity', parts: ['acct', '7'] } }),
    )
  })

  test('name runs that have failed, and queues with dead jobs', async () => {
    const { troubles } = await look('overview')
    expect(troubles).toMatchObject([
      { kind: 'dead jobs', subject: 'mails', text: expect.stringContaining('1 job') },
      { kind: 'run failed', subject: 'order/1', text: expect.stringContaining('refused') },
    ])
  })

  test('show handlers that have not ended, and how long messages have waited', async () => {
    const by = observer()
    const ref = app.system.processes().find((each) => each.label === 'stuck')?.ref as never
    cast(ref, 'wait' as never, secrets as never)
    await advance(1_500)
    for (let at = 0; at < 10; at++) cast(ref, 'wait' as never, secrets as never)
    await look('overview', {}, by)
    await advance(10_000)
    for (let at = 0; at < 10; at++) cast(ref, 'wait' as never, secrets as never)

    const { pending } = await (async () => {
      await look('overview', {}, by)
      await advance(10)
      return look('overview', {}, by)
    })()
    expect(pending).toMatchObject([{ name: 'stuck', message: 'cast wait' }])
    const [row] = (await look('processes', { find: 'stuck' })).rows
    expect(row?.oldestMs).toBeGreaterThan(11_000)
  })

  test('show a trace of a process while it is asked for, without a payload, and end it in a flood', async () => {
    const by = observer()
    const asked = { pid: pidOf('open'), trace: 'on' }
    const ref = app.system.processes().find((each) => each.label === 'open')?.ref as never
    const traced = async () => (await look('process', asked, by)).trace
    expect(await traced()).toEqual({ events: [] })

    await during(call(ref, 'ask' as never, secrets as never))
    const seen = await traced()
    expect(seen?.events.map(({ direction, what }) => [direction, what])).toEqual([
      ['in', 'call ask'],
      ['out', 'reply'],
    ])
    expect(JSON.stringify(seen)).not.toContain(canary)

    for (let at = 0; at < 300; at++) cast(ref, 'wait' as never)
    await advance(100)
    const flooded = await traced()
    expect([flooded?.events.length, flooded?.ended]).toEqual([100, expect.stringContaining('200')])
    await advance(11_000)
    expect(await traced()).toEqual({ events: [] })
  })

  test('show at most 50 lines of a second, then their number', async () => {
    const by = observer()
    await look('log', {}, by)
    await advance(5_000)
    for (let at = 0; at < 80; at++) app.system.logger.warn(`line ${at}`)
    await advance(2_000)
    app.system.logger.warn('later')

    const { lines } = await look('log', {}, by)
    expect(lines.slice(-3).map(({ sort, text }) => [sort, text])).toEqual([
      ['log', 'line 49'],
      ['flood', '30 more in the same second'],
      ['log', 'later'],
    ])
  })

  test('show events of the log by level, sort, process and entity, also behind a flood of others', async () => {
    const pid = pidOf('open')
    const ref = app.system.processes().find((each) => each.pid === pid)?.ref as never
    await during(call(ref, 'fail' as never).catch(() => undefined))
    await during(call(app.entity('acct').ref('7'), 'plan' as never))
    await advance(100)
    app.system.logger.error('the disk is slow')
    for (let at = 0; at < 300; at++) app.system.logger.warn(`line ${at}`)
    const found = async (query: object) => (await look('log', query)).lines
    const sortsOf = async (query: object) => new Set((await found(query)).map(({ sort }) => sort))

    expect(await sortsOf({})).toEqual(new Set(['flood', 'log']))
    expect(await found({ level: 'error', find: 'DISK' })).toMatchObject([
      { sort: 'log', kind: 'error', text: 'the disk is slow' },
    ])
    expect(await sortsOf({ level: 'error' })).toContain('crash')
    expect(await sortsOf({ level: 'error' })).not.toContain('restart')
    expect(await found({ level: 'warn' })).toHaveLength(100)
    expect(await sortsOf({ find: `<${pid}>` })).toContain('crash')
    expect(await sortsOf({ find: 'acct/7' })).toContain('step_failed')
    expect(await found({ sort: 'crash', find: 'acct/7' })).toEqual([])
    expect(await refused({ look: 'log', query: { level: 'debug' } })).toBe('INVALID_ARGUMENT')
  })

  test('show who has locked a key, and the last snapshot', async () => {
    await during(app.store.lock(['user/token'], { owner: 'checkout', leaseMs: 5_000 }))
    const locks = async () => (await look('store')).rows.map(({ lock }) => lock?.owner)
    expect(await locks()).toEqual([undefined, 'checkout'])
    await advance(6_000)
    expect(await locks()).toEqual([undefined, undefined])

    expect((await look('storage')).shards[0]?.snapshot).toBeUndefined()
    const { lsn } = await during(app.control.snapshot(0))
    const at = app.system.clock.now()
    expect((await look('storage')).shards[0]?.snapshot).toMatchObject({
      ...{ lsn, at: expect.closeTo(at, -1) },
    })
  })

  test('show runs with their steps, and queues', async () => {
    expect(await look('flows')).toMatchObject({
      workflows: [
        { type: 'order', counts: { failed: 1 } },
        { type: 'approval' },
        { type: 'unsteady' },
      ],
      queues: [{ name: 'mails' }],
    })
    expect((await look('runs', { type: 'order' })).rows).toMatchObject([
      { id: '1', status: 'failed' },
    ])
    expect((await look('run', { type: 'order', id: '1' })).steps).toMatchObject([
      { key: expect.stringContaining('reserve'), outcome: 'ok' },
    ])
  })

  test('show how many messages a process handles a second since the last look at it', async () => {
    const by = observer()
    const pid = pidOf('open')
    const rate = async () => (await look('process', { pid: String(pid) }, by)).row.perSecond
    const ref = app.system.processes().find((each) => each.pid === pid)?.ref as never
    await rate()
    for (let at = 0; at < 20; at++) cast(ref, 'wait' as never)
    await advance(2_000)

    expect(await rate()).toBeCloseTo(10, 0)
    await look('processes', {}, by)
    await advance(600_000)
    await rate()
    for (let at = 0; at < 20; at++) cast(ref, 'wait' as never)
    await advance(2_000)
    expect(await rate()).toBeCloseTo(10, 0)
    await advance(2_000)
    expect(await rate()).toBe(0)
  })

  test('show keys, and a value on demand', async () => {
    const { rows } = await look('store')
    expect(rows).toEqual([
      { key: markup, type: 'object of 2' },
      { key: 'user/token', type: 'string of 7' },
    ])
    expect(await look('key', { key: markup })).toMatchObject({
      value: {
        members: [
          ['login', 'ada'],
          ['password', { isHidden: true }],
        ],
      },
    })
    expect(await look('key', { key: 'user/token' })).toMatchObject({ value: { isHidden: true } })
  })

  test.each(['pid', 'handled', 'queue'])(
    'list each process once, page by page, in the order of %s',
    async (order) => {
      const found: number[] = []
      let after: string | undefined
      do {
        const { rows, next } = await look('processes', {
          order,
          limit: '3',
          ...(after && { after }),
        })
        found.push(...rows.map(({ pid }: { readonly pid: number }) => pid))
        after = next
      } while (after !== undefined)

      expect(found.toSorted((a, b) => a - b)).toEqual(
        app.system
          .processes()
          .map(({ pid }) => pid)
          .sort((a, b) => a - b),
      )
    },
  )

  test('show what is in the log and in the mailboxes, and how processes are ordered', async () => {
    const [shard] = (await look('storage')).shards
    expect(shard).toMatchObject({ shard: 0, phase: 'open', subscriptions: [] })
    expect(shard?.lastLsn).toBeGreaterThan(3)
    const { rows, total, kinds } = await look('processes', { order: 'handled', limit: '3' })
    expect(rows).toHaveLength(3)
    expect(total).toBe(app.system.processes().length)
    expect(kinds.reduce((sum, { count }) => sum + count, 0)).toBe(total)
    expect(await look('processes', { find: 'GATE' })).toMatchObject({ rows: [{ name: 'gate' }] })
  })
})

test('no view answers with a secret, under formatStatus or a name, in any byte of HTTP', async () => {
  const by = observer(true)
  const source = { away: undefined, ask: (request: Asked) => told(request, by) }
  const { ask } = await pageServed({ source, isWriting: true })
  await during(
    call(app.entity('acct').ref(markup), 'fail' as never, secrets as never).catch(() => undefined),
  )
  for (const label of ['open', 'broken']) {
    const found = app.system.processes().find((each) => each.label === label)
    cast(found?.ref as never, 'wait' as never, secrets as never)
  }
  const entity = `kind=acct&id=${encodeURIComponent(markup)}`
  const pids = app.system.processes().map(({ pid }) => `process?pid=${pid}`)
  const paths = [
    ...['header', 'overview', 'tree', 'processes', 'entities', 'kind?kind=acct', 'kind?kind=door'],
    ...[`entity?${entity}`, 'flows', 'runs?type=order', 'run?type=order&id=1', 'store', 'storage'],
    ...['key?key=user/token', `key?key=${encodeURIComponent(markup)}`, 'replication', 'log'],
    ...[`history?${entity}`, `past?${entity}&lsn=999`],
    ...['kind?kind=acct&only=blocked', 'kind?kind=acct&field=status&value=new', ...pids],
  ]
  for (const path of paths) {
    const { status, text } = await ask(`/api/${path}`)
    expect([path, status]).toEqual([path, 200])
    expect(text, path).not.toContain(canary)
  }
})

test('a wrong question is refused with its code, and the others are answered', async () => {
  expect(await refused({ look: 'secrets', query: {} })).toBe('INVALID_ARGUMENT')
  expect(await refused({ look: 'constructor', query: {} })).toBe('INVALID_ARGUMENT')
  expect(await refused({ look: 'process', query: { pid: '<1>' } })).toBe('INVALID_ARGUMENT')
  expect(await refused({ look: 'process', query: { pid: '999999' } })).toBe('NO_PROCESS')
  expect(await refused({ look: 'entity', query: { kind: 'none', id: '1' } })).toBe(
    'INVALID_ARGUMENT',
  )
  expect(await refused({ look: 'processes', query: { limit: '1e9' } })).toBe('INVALID_ARGUMENT')
  expect(await refused({ look: 'processes', query: { after: 'x' } })).toBe('INVALID_ARGUMENT')
  expect(await refused({ look: 'header', query: null as never })).toBe('none')
})

describe('measurements', () => {
  test('begin with the first question, and end ten seconds after the last one', async () => {
    const turns = heardIn(app.system)['turn.done']
    const by = observer()
    expect(turns.isOn).toBe(false)

    await look('header', {}, by)
    expect(turns.isOn).toBe(true)
    await advance(9_000)
    await look('header', {}, by)
    await advance(9_000)
    expect(turns.isOn).toBe(true)
    await advance(4_000)
    expect(turns.isOn).toBe(false)
  })

  test('are those of the last minute, with a point each two seconds', async () => {
    const by = observer()
    await look('overview', {}, by)
    for (let at = 0; at < 2; at++) await during(call(app.entity('acct').ref('2'), 'ask' as never))
    await advance(4_000)

    const { latencies, series } = await look('overview', {}, by)
    expect(latencies.map(({ title }) => title)).toEqual(
      expect.arrayContaining(['commit wait', 'turn', 'call', 'mailbox wait']),
    )
    expect(series.times).toHaveLength(2)
    expect(Math.max(...series.turnsPerSecond.map(Number))).toBeGreaterThan(0)
    by.end()
  })
})
