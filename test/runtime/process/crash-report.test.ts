/** A process that fails leaves a report: on the bus as data, in the log as text. */
import { describe, expect, test, vi } from 'vitest'
import {
  type CrashFacts,
  call,
  cast,
  crashText,
  createSystem,
  foreseen,
  type GenServer,
  noReply,
  reply,
  startSupervisor,
  stop,
  stopProcess,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import { type LogLine, testSystem, virtualClock } from '../../../src/testing/index.ts'

type Messages = {
  calls: { get: () => number }
  casts: { add: (by: number) => void; fail: (why: unknown) => void; end: (why: unknown) => void }
}

const counter: GenServer<Messages, { count: number }, undefined> = {
  init: () => ({ count: 1 }),
  calls: { get: (state) => reply(state.count, state) },
  casts: {
    add: (state, by) => noReply({ count: state.count + by }),
    fail: (_, why) => {
      throw why
    },
    end: (state, why) => stop(why, state),
  },
}

const boom = new Error('boom')

/** The report in a line, as a logger of JSON writes it. */
const reportIn = (line: LogLine | undefined): Record<string, string> =>
  JSON.parse(JSON.stringify(line?.facts)).report

/** A counter below two supervisors, and the reports of crashes. */
const stage = async () => {
  const { system, log, settle, clock } = testSystem()
  const crashes: CrashFacts[] = []
  system.events.on('process.crashed', (crash) => crashes.push(crash))
  const inner = supervisor('inner', { strategy: 'one_for_one' }, [
    worker('counter', counter, undefined, { name: 'counter' as never, restart: 'temporary' }),
  ])
  await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, [inner]))
  const ref = system.to<Messages>('counter' as never)
  const pid = system.info(ref)?.pid
  return { system, log, settle, clock, crashes, ref, pid }
}

describe('a server that throws', () => {
  test('is reported with its state, its last message, its mailbox and its ancestors', async () => {
    const { system, settle, crashes, ref, pid, clock } = await stage()
    const [inner, top] = ['inner', 'top'].map((label) =>
      system.processes().find((each) => each.label === label),
    )
    cast(ref, 'add', 2)
    cast(ref, 'fail', boom)
    cast(ref, 'add', 3)
    await settle()
    expect(crashes).toEqual([
      {
        at: clock.now(),
        instance: undefined,
        pid,
        name: 'counter',
        kind: 'server',
        label: 'counter',
        reason: boom,
        state: { count: 3 },
        lastMessage: { what: 'cast fail', payload: boom },
        mailbox: 1,
        ancestors: [
          { pid: inner?.pid, name: undefined, label: 'inner' },
          { pid: top?.pid, name: undefined, label: 'top' },
        ],
      },
    ])
  })

  test('is reported in the log, as text in the facts of its line', async () => {
    const { log, settle, ref, pid, system } = await stage()
    const [inner, top] = ['inner', 'top'].map(
      (label) => system.processes().find((each) => each.label === label)?.pid,
    )
    cast(ref, 'fail', boom)
    await settle()
    const [line] = log.lines.filter(({ level }) => level === 'error')
    expect(line).toMatchObject({
      level: 'error',
      message: 'counter ended: Error: boom',
      facts: { pid, reason: boom },
    })
    expect(reportIn(line)).toEqual({
      'last message': 'cast fail Error: boom',
      state: '{count: 1}',
      mailbox: '0 waiting',
      ancestors: `inner <${inner}>, top <${top}>`,
    })
  })

  test('is reported once it has ended, and its event of the end comes first', async () => {
    const { system, settle, ref } = await stage()
    const order: unknown[] = []
    system.events.on('process.exited', ({ name }) => order.push(['exited', name]))
    system.events.on('process.crashed', ({ name }) =>
      order.push(['crashed', name, system.info(ref)]),
    )
    cast(ref, 'fail', boom)
    await settle()
    expect(order).toEqual([
      ['exited', 'counter'],
      ['crashed', 'counter', undefined],
    ])
  })
})

describe('a crash is', () => {
  test.each([
    ['a stop for a reason that is not orderly', 'odd', 1],
    ['no stop with normal', 'normal', 0],
    ['no shutdown', ['shutdown', 'why'], 0],
  ])('%s', async (_, reason, count) => {
    const { settle, crashes, ref } = await stage()
    cast(ref, 'end', reason)
    await settle()
    expect(crashes.map((each) => each.reason)).toEqual(count === 0 ? [] : [reason])
  })

  test('a stop from outside for such a reason; the last message is the one before', async () => {
    const { crashes, ref } = await stage()
    await call(ref, 'get')
    await stopProcess(ref, 'odd')
    expect(crashes).toMatchObject([{ reason: 'odd', lastMessage: { what: 'call get' } }])
  })

  test('no kill, as in OTP: the process did not fail', async () => {
    const { system, settle, crashes, ref } = await stage()
    system.kill(ref)
    await settle()
    expect(crashes).toEqual([])
  })

  test('the failure of a bare process, which has no state', async () => {
    const { system, settle, log } = testSystem()
    const crashes: CrashFacts[] = []
    system.events.on('process.crashed', (crash) => crashes.push(crash))
    system.spawn(() => Promise.reject(boom))
    await settle()
    expect(crashes).toMatchObject([{ reason: boom, state: undefined, ancestors: [] }])
    expect(reportIn(log.lines[0])).toMatchObject({
      'last message': 'none',
      state: 'undefined',
      ancestors: 'none',
    })
  })
})

test.each([
  [{ label: 'cart', name: 'till' }, 'cart ended: boom'],
  [{ label: undefined, name: 'till' }, 'till ended: boom'],
  [{ label: undefined, name: undefined }, 'server <7> ended: boom'],
])(
  'the text of a crash of %j begins with its label, its name, or its kind and number',
  (named, title) => {
    const facts = { at: 0, instance: undefined, pid: 7, kind: 'server', ancestors: [], mailbox: 2 }
    const text = crashText({ ...facts, ...named, reason: 'boom', state: { count: 1 } })
    expect(text.split('\n')[0]).toContain(title)
    for (const part of ['state: {count: 1}', 'mailbox: 2 waiting', 'ancestors: none'])
      expect(text).toContain(part)
  },
)

test('the text of a report is bounded, whatever the state is', { tags: ['slow'] }, async () => {
  const { system, settle, log } = testSystem()
  const server: GenServer<{ casts: { fail: (what: unknown) => void } }, unknown> = {
    init: () => new Map(Array.from({ length: 100_000 }, (_, at) => [at, 'x'.repeat(100)])),
    casts: {
      fail: () => {
        throw boom
      },
    },
  }
  cast(await system.start(server), 'fail', 'y'.repeat(1_000_000))
  await settle()
  const report = reportIn(log.lines[0])
  for (const text of Object.values(report)) expect(text.length).toBeLessThan(1_100)
  expect(report.state).toContain('Map(100000) {0 => "xxx')
})

test('the text of a report names the nearest twenty ancestors, its data all of them', async () => {
  const { system, settle, log } = testSystem()
  const crashes: CrashFacts[] = []
  system.events.on('process.crashed', (crash) => crashes.push(crash))
  const nested = (left: number) => (context: Parameters<Parameters<typeof system.spawn>[0]>[0]) => {
    if (left === 0) throw boom
    context.trapExit(true)
    context.spawnLink(nested(left - 1), { label: `p${left - 1}` })
    return context.receive()
  }
  system.spawn(nested(25), { label: 'p25' })
  await settle()
  const labels = Array.from({ length: 25 }, (_, at) => `p${at + 1}`)
  const [crash] = crashes.filter(({ label }) => label === 'p0')
  expect(crash?.ancestors.map(({ label }) => label)).toEqual(labels)
  const [line] = log.lines.filter(({ message }) => message.startsWith('p0 '))
  const named = reportIn(line)
    .ancestors?.split(', ')
    .map((text) => text.split(' ')[0])
  expect(named).toEqual(labels.slice(0, 20))
})

test('the console shows the report below the error', async () => {
  const told: string[] = []
  const spy = vi.spyOn(console, 'error').mockImplementation((line) => told.push(line))
  const system = createSystem({ clock: virtualClock() })
  const ref = await system.start(counter, undefined, { label: 'counter' })
  cast(ref, 'fail', 'why')
  await new Promise((resolve) => system.monitor(ref, resolve))
  await Promise.resolve()
  spy.mockRestore()
  expect(told).toEqual([
    [
      '2026-01-01T00:00:00.000Z error counter ended: [nocatch, why]',
      '  last message: cast fail "why"',
      '  state: {count: 1}',
      '  mailbox: 0 waiting',
      '  ancestors: none',
    ].join('\n'),
  ])
})

describe('an end that a server has foreseen', () => {
  test('is announced with its restart, and the log has neither', async () => {
    const { system, log, settle } = testSystem()
    const told: unknown[] = []
    system.events.on('process.crashed', ({ reason }) => told.push(reason))
    system.events.on('process.restarted', ({ reason }) => told.push(reason))
    const named = { name: 'counter' as never }
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        worker('counter', counter, undefined, named),
      ]),
    )
    const away = foreseen(new Error('away'))

    cast(system.to<Messages>('counter' as never), 'end', away)
    await settle()

    expect(told).toEqual([away, away])
    expect(log.lines).toEqual([])
    expect(await call(system.to<Messages>('counter' as never), 'get', undefined)).toBe(1)
  })
})
