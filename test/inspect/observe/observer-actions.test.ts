/** The actions of a session that observes an instance. */
import { beforeEach, describe, expect, test } from 'vitest'
import { flow } from '../../../src/flow/index.ts'
import { call, type GenServer, supervisor, worker } from '../../../src/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import type { Planned } from '../../../src/observe/index.ts'
import {
  approval,
  canary,
  markup,
  type Observed,
  observedInstance,
} from '../../support/worlds/observed-instance.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

let { app, start, during, advance, log, observer, told, look, refused, pidOf } = {} as Observed

beforeEach(async () => {
  ;({ app, start, during, advance, log, observer, told, look, refused, pidOf } =
    await observedInstance())
})

describe('actions', () => {
  const kill = () => ({ act: 'kill', pid: pidOf('open'), reason: 'it hangs' }) as const

  test('of a session that only looks are refused, and change nothing', async () => {
    const { pid } = kill()

    expect(await refused({ act: kill() })).toBe('READ_ONLY')
    expect(await refused({ plan: kill() })).toBe('READ_ONLY')
    expect(pidOf('open')).toBe(pid)
  })

  test('say what they will do, do it, and leave a line with the user and the reason', async () => {
    const { pid } = kill()
    const action = kill()

    const { reason: _, ...proposed } = action
    expect(await told({ plan: proposed }, observer(true))).toMatchObject({
      effect: expect.stringContaining(`kills open <${pid}>`),
    })
    expect(pidOf('open')).toBe(pid)
    await told({ act: action }, observer(true))
    await advance(10)
    expect(pidOf('open')).not.toBe(pid)
    expect(log.messages('warn')).toContainEqual(
      expect.stringMatching(/^ann, observing: kills open <\d+>.* Reason: it hangs$/),
    )
  })

  test('are in the log of the page, with the user and the reason', async () => {
    await told({ act: { ...kill(), reason: 'a trial' } }, observer(true))

    expect((await look('log')).lines).toContainEqual(
      expect.objectContaining({
        sort: 'log',
        text: expect.stringMatching(/^ann, observing: kills open .* a trial$/),
      }),
    )
  })

  test('are among the last events, also if what they act on fails at once', async () => {
    await during(call(app.entity('acct').ref('7'), 'plan' as never))
    await advance(100)
    const step = { kind: 'acct', id: '7', name: 'charge' }
    await told({ act: { act: 'retryStep', ...step, reason: 'try' } }, observer(true))
    await advance(100)

    const { recent } = await look('overview')
    expect(recent.filter(({ sort }) => sort === 'step_failed')).not.toEqual([])
    expect(recent).toContainEqual(
      expect.objectContaining({
        sort: 'log',
        text: expect.stringContaining('ann, observing: runs the step charge of acct/7'),
      }),
    )
  })

  test('leave one line, whatever the id, the user and the reason have in them', async () => {
    const forged = 'x\n2026-01-01 error: FORGED \u001b[31m'
    const by = new Observer(app, { isWriting: true, user: `ann${forged}` })
    await told({ act: { act: 'stop', kind: 'acct', id: forged, reason: forged } }, by)

    const line = log.messages('warn').find((each) => each.includes('FORGED'))
    expect(line?.match(/FORGED/g)).toHaveLength(3)
    expect(line).not.toMatch(/[\p{Cc}]/u)
  })

  test('end a child in order and start it again', async () => {
    const { pid } = kill()
    await told({ act: { act: 'restart', pid, reason: 'new settings' } }, observer(true))

    expect(pidOf('open')).toBeGreaterThan(pid)
    expect((await look('overview')).recent.at(-1)).toMatchObject({ sort: 'log', kind: 'warn' })
  })

  test('suspend and resume a process, let an entity rest, and delete it', async () => {
    const by = observer(true)
    const pid = pidOf('open')
    const status = () => app.system.processes().find((each) => each.pid === pid)?.status
    const entity = { kind: 'acct', id: markup, reason: 'a trial' }

    await told({ act: { act: 'suspend', pid, reason: 'a trial' } }, by)
    expect(status()).toBe('suspended')
    await told({ act: { act: 'resume', pid, reason: 'a trial' } }, by)
    expect(status()).toBe('waiting')
    await told({ act: { act: 'stop', ...entity } }, by)
    expect(app.entity('acct').ref(markup).pid).toBeUndefined()
    expect(app.entity('acct').state(markup)).toBeDefined()
    await told({ act: { act: 'delete', ...entity } }, by)
    expect(app.entity('acct').state(markup)).toBeUndefined()
  })

  test('act on runs and shards', async () => {
    const by = observer(true)
    const reason = 'a trial'
    const run = { type: 'order', id: '1', reason }
    const before = (await look('run', run)).row.since

    await told({ act: { act: 'retryRun', ...run } }, by)
    await told({ act: { act: 'flush', shard: 0, reason } }, by)
    await told({ act: { act: 'snapshot', shard: 0, reason } }, by)
    await advance(1_000)
    expect((await look('run', { type: 'order', id: '1' })).row.since).toBeGreaterThan(before)
    expect((await look('storage')).shards).toMatchObject([
      { sinceSnapshotBytes: expect.any(Number) },
    ])
    expect(await refused({ act: { act: 'flush', shard: 9, reason } }, by)).toBe('INVALID_ARGUMENT')
  })

  test('run a failing step and an alarm of an entity now, or cancel the alarm', async () => {
    const by = observer(true)
    const of = { kind: 'acct', id: '9', reason: 'the bank is back' }
    const pending = async () => {
      const { born } = await look('entity', of)
      return [
        born?.steps.map(({ name, tries }) => [name, tries]),
        born?.alarms.map(({ name }) => name),
      ]
    }
    await during(call(app.entity('acct').ref('9'), 'plan' as never))
    await advance(100)
    expect(await pending()).toEqual([[['charge', 1]], ['forget', 'remind']])

    await told({ act: { act: 'cancelAlarm', ...of, name: 'forget' } }, by)
    await told({ act: { act: 'fireAlarm', ...of, name: 'remind' } }, by)
    await told({ act: { act: 'retryStep', ...of, name: 'charge' } }, by)
    await advance(100)
    expect(await pending()).toEqual([[['charge', 2]], []])
    expect(await told({ act: { act: 'fireAlarm', ...of, name: 'remind' } }, by)).toEqual({
      text: 'Nothing was to be done.',
    })
  })

  test('signal a run, and retry a dead job of a queue', async () => {
    const by = observer(true)
    const reason = 'a trial'
    await during(flow(app).start(approval, undefined, { id: '7' }))
    const signal = { act: 'signalRun', type: 'approval', id: '7', name: 'approve' } as const
    await advance(100)
    const { effect } = (await told({ plan: { ...signal, value: canary } }, by)) as {
      effect: string
    }
    expect(effect).toContain('the signal approve (string of 7) to the run approval/7')
    await told({ act: { ...signal, value: canary, reason } }, by)
    await advance(100)
    expect((await look('run', signal)).row.status).toBe('completed')
    expect(log.messages('warn').join()).not.toContain(canary)

    const [dead] = (await look('dead', { queue: 'mails' })).rows
    expect(dead).toMatchObject({ id: '1', tries: 1, text: expect.stringContaining('[hidden ') })
    const before = dead?.failedAt ?? 0
    await advance(1_000)
    await told({ act: { act: 'retryJob', queue: 'mails', id: '1', reason } }, by)
    await advance(1_000)
    expect((await look('dead', { queue: 'mails' })).rows[0]?.failedAt).toBeGreaterThan(before)
    expect(await refused({ act: { act: 'retryJob', queue: 'mails', id: '8', reason } }, by)).toBe(
      'CONFLICT',
    )
  })

  test('end the suspensions of a shard, whoever holds them', async () => {
    await during(app.control.suspend(0))
    expect((await look('storage')).shards[0]?.isSuspended).toBe(true)

    await told({ act: { act: 'resumeShard', shard: 0, reason: 'a trial' } }, observer(true))
    await advance(60_000)
    expect((await look('storage')).shards[0]?.isSuspended).toBe(false)
  })

  test('of an instance that has restarted since their plan reach no process of the new one', async () => {
    const action = kill()
    const planned = (await told({ plan: action }, observer(true))) as Planned
    await during(app.close())
    await advance(1_000)
    const again = await start()
    const by = new Observer(again, { isWriting: true, user: 'ann' })
    const { effect } = (await told({ plan: action }, by)) as Planned

    expect(effect).toBe(planned.effect)
    expect(await refused({ act: action, planned }, by)).toBe('CONFLICT')
    await advance(10)
    expect(again.system.processes().map(({ pid }) => pid)).toContain(action.pid)
  })

  test('are refused without their plan, and with that of another effect', async () => {
    const by = observer(true)
    const planned = (await told({ plan: { act: 'kill', pid: pidOf('gate') } }, by)) as Planned

    for (const other of [planned, undefined as never])
      expect(await refused({ act: kill(), planned: other }, by)).toBe('CONFLICT')
  })

  test('need a reason, and are those of the table', async () => {
    const by = observer(true)

    expect(await refused({ act: { ...kill(), reason: ' ' } }, by)).toBe('INVALID_ARGUMENT')
    expect(await refused({ act: { ...kill(), act: 'constructor' as never } }, by)).toBe(
      'INVALID_ARGUMENT',
    )
    expect(await refused({ act: { ...kill(), pid: 999_999 } }, by)).toBe('NO_PROCESS')
  })
})

test('a restart of a child that does not start again says so', async () => {
  const isWell = { now: true }
  const server: GenServer<object, number> = {
    init: () => {
      if (!isWell.now) throw new Error('no licence')
      return 0
    },
  }
  const once = worker('once', server)
  const s = await simulated({ app: supervisor('app', {}, [once]) })
  const pid = s.system.processes().find(({ label }) => label === 'once')?.pid
  isWell.now = false
  const by = new Observer(s.app, { isWriting: true, user: 'ann' })
  const plan = { act: 'restart', pid }
  const { answer: planned } = (await s.during(by.answer({ id: 1, plan } as never))) as never
  const act = { ...plan, reason: 'new settings' }
  const answer = await s.during(by.answer({ id: 2, act, planned } as never))
  expect(JSON.stringify(answer)).toMatch(/EXITED.*does not start again.*no licence/)
})
