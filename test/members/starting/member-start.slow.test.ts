/** `start({ cluster })`: one member owns the instance, and the start of another one waits for it. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { entryText } from '../../../src/members/leases/cluster-directory.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'
import type { SimulatedSession } from '../../support/worlds/simulated-engine.ts'

test('one member starts, and what it acknowledged is there after its folder was deleted', async () => {
  const members = new Members()
  const first = await members.start('a', { shards: 2 })
  await members.during(first.store.put('k', 'v'))
  await members.during(first.close())
  members.machine('a').disk.remove('/data')

  const again = await members.start('a')

  expect(again.store.get('k')).toBe('v')
  expect(again.shards).toHaveLength(2)
})

test('a standby waits, and owns what was acknowledged when the owner has closed', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b')
  await members.during(owner.store.put('k', 'v'))
  await members.clock.advance(3 * leaseMs)
  expect(members.steps.filter((step) => step.startsWith('b'))).toEqual([
    'b: standby the member a owns c',
    'b: standby it has read the logs of c, and may take over',
  ])

  await members.during(owner.close())
  const began = members.clock.monotonic()
  const app = await members.during(standby)

  expect(app.store.get('k')).toBe('v')
  expect(members.clock.monotonic() - began).toBeLessThan(leaseMs / 2)
})

test('an owner that is cut off answers no read, and ends when the standby has taken over', async () => {
  const members = new Members()
  const owner = await members.start('a')
  await members.during(owner.store.put('k', 'v'))
  const standby = members.begin('b')
  await members.clock.advance(100)

  members.sessions.get('a')?.pause(10 * leaseMs)
  const lost = owner.store.put('k', 'lost').catch((error: unknown) => error)
  await members.clock.advance(leaseMs)
  expect(() => owner.store.get('k')).toThrow(
    expect.objectContaining({
      code: 'SHARD_DOWN',
      details: expect.objectContaining({ state: 'unsure' }),
    }),
  )
  const app = await members.during(standby)
  await members.during(app.store.put('k2', 'v2'))
  const reason = await members.during(owner.closed)

  expect(reason).toEqual(['shutdown', expect.objectContaining({ code: 'FENCED' })])
  expect(await lost).toBeInstanceOf(KeelsonError)
  expect(app.store.get('k')).toBe('v')
})

test('an owner that the engine refuses, as for a changed password, goes on when that is mended', async () => {
  const members = new Members()
  const owner = await members.start('a')
  await members.during(owner.store.put('k', 'v'))
  const session = members.sessions.get('a') as SimulatedSession
  session.refusal = new KeelsonError('CONFIG', 'the password is wrong')
  const put = owner.store.put('k', 'refused').catch((error: unknown) => error)
  await members.clock.advance(10 * leaseMs)
  expect(owner.health().cluster).toMatchObject({ phase: 'unsure' })

  session.refusal = undefined
  await members.clock.advance(5 * leaseMs)

  await members.during(put)
  expect(owner.health().cluster).toMatchObject({ phase: 'owner' })
  await members.during(owner.store.put('k', 'again'))
  expect(owner.store.get('k')).toBe('again')
})

test('options of a local log are refused, and wrong ones of the cluster', async () => {
  const members = new Members()
  const pathOf = async (more: object): Promise<unknown> =>
    members.start('a', more).then(
      () => 'started',
      (error: KeelsonError) => `${error.code} ${error.details.path}`,
    )

  for (const [path, more] of [
    ['wal.maxFileSize', { wal: { maxFileSize: 16 * 1024 * 1024 } }],
    ['wal.sectorBytes', { wal: { sectorBytes: 512 } }],
    ['wal.enableFsync', { wal: { enableFsync: true } }],
    ['wal.syncInterval', { wal: { syncInterval: 10 } }],
    ['wal.commitments', { wal: { commitments: true } }],
    ['retention.log', { retention: { log: '7d' } }],
    ['snapshot.keep', { snapshot: { keep: 1 } }],
    ['replication', { replication: [] }],
    ['cluster.name', { cluster: { name: 'a b' } }],
    ['cluster.member', { cluster: { member: '' } }],
    ['cluster.engine', { cluster: { engine: {} } }],
    ['cluster.leaseMs', { cluster: { leaseMs: 10 } }],
  ] as const)
    expect(await pathOf(more)).toBe(`CONFIG ${path}`)
})

test('a member with another number of copies than the cluster has is CONFIG with both numbers', async () => {
  const members = new Members()
  const two = { cluster: { copies: 2 } as never }
  await members.during((await members.start('a', two)).close())

  await expect(members.start('b')).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(/cluster\.copies.*2.*1/),
  })
  await expect(members.start('b', two)).resolves.toBeDefined()
})

test('a start that waits for the owner ends when it is aborted', async () => {
  const members = new Members()
  await members.start('a')
  const waiting = new AbortController()
  const standby = members.begin('b', { cluster: { signal: waiting.signal } as never })
  await members.clock.advance(leaseMs)

  waiting.abort()

  await expect(members.during(standby)).rejects.toMatchObject({ code: 'CLOSED' })
})

test('a start that takes over from an engine that went away ends when it is aborted', async () => {
  const members = new Members()
  const first = await members.start('a')
  await members.during(first.store.put('k', 'v'))
  await members.during(first.close())
  members.steps.length = 0
  const waiting = new AbortController()
  const begun = members.begin('a', { cluster: { signal: waiting.signal } as never })
  const failed = begun.catch((error: unknown) => error)
  while (!members.steps.includes('a: recovering')) await members.clock.advance(1)
  members.sessions.get('a')?.pause(60 * leaseMs)
  await members.clock.advance(10 * leaseMs)

  waiting.abort()
  const aborted = members.clock.monotonic()

  await expect(members.during(failed)).resolves.toMatchObject({ code: 'CLOSED' })
  expect(members.clock.monotonic() - aborted).toBeLessThan(5 * leaseMs)
})

test('a start that is aborted while it connects leaves no connection', async () => {
  const members = new Members()
  const waiting = new AbortController()
  let isOpen = false
  const open = async () => {
    await new Promise<void>((resolve) => members.clock.after(500, resolve))
    isOpen = true
    const session = members.engine.connect('c')
    return Object.assign(session, {
      close: async () => {
        isOpen = false
      },
    })
  }
  const engine = { description: 'slow', open }
  const begun = members.begin('a', { cluster: { signal: waiting.signal, engine } as never })
  const failed = begun.catch((error: unknown) => error)
  await members.clock.advance(100)

  waiting.abort()

  await expect(members.during(failed)).resolves.toMatchObject({ code: 'CLOSED' })
  await members.clock.advance(1_000)
  expect(isOpen).toBe(false)
})

test('a standby that is aborted while the engine is away ends well before its lease', async () => {
  const members = new Members()
  await members.start('a')
  const waiting = new AbortController()
  const begun = members.begin('b', { cluster: { signal: waiting.signal } as never })
  const failed = begun.catch((error: unknown) => error)
  await members.clock.advance(5 * leaseMs)
  members.sessions.get('b')?.pause(60 * leaseMs)
  await members.clock.advance(3 * leaseMs)

  waiting.abort()
  const aborted = members.clock.monotonic()

  await expect(members.during(failed)).resolves.toMatchObject({ code: 'CLOSED' })
  expect(members.clock.monotonic() - aborted).toBeLessThan(leaseMs / 2)
})

test.each([
  [0, 0.5],
  [0, 5],
  [1, 0.5],
  [1, 5],
])(
  'a member with %i open writes closes within its deadline, %d leases after the engine went away',
  async (writes, leases) => {
    const members = new Members()
    const app = await members.start('a')
    await members.during(app.store.put('k', 'v'))
    members.sessions.get('a')?.pause(600 * leaseMs)
    await members.clock.advance(leases * leaseMs)
    for (let count = 0; count < writes; count++) app.store.put('k', 'open').catch(() => undefined)
    await members.clock.advance(1)
    const began = members.clock.monotonic()

    await members.during(app.close({ deadlineMs: 5_000 }))

    // The grace of the engine for its log, and for the lease.
    const graceMs = 1_000 + 0.2 * leaseMs
    const openMs = writes * 5_000
    expect(members.clock.monotonic() - began).toBeLessThan(openMs + graceMs + 20)
  },
)

/** An engine that opens no session, for this reason. */
const refusing = (code: 'CONFIG' | 'UNKNOWN_OUTCOME', message: string) => ({
  description: 'refusing',
  open: async () => {
    throw new KeelsonError(code, message)
  },
})

test('a start that only a person can help is CONFIG, at its first connection', async () => {
  const members = new Members()
  const engine = refusing('CONFIG', 'the password is wrong')

  const start = members.start('a', { cluster: { engine } as never })

  await expect(start).rejects.toMatchObject({ code: 'CONFIG', message: 'the password is wrong' })
  expect(members.steps).toEqual([])
})

test('a standby that the engine refuses waits, says so each minute, and takes over when that is mended', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b')
  await members.clock.advance(leaseMs)
  members.steps.length = 0

  const session = members.sessions.get('b') as SimulatedSession
  session.refusal = new KeelsonError('CONFIG', 'fsync is off')
  await members.clock.advance(130_000)

  expect(members.steps).toEqual(Array(3).fill('b: waiting CONFIG: fsync is off'))
  session.refusal = undefined
  await members.clock.advance(leaseMs)
  await members.during(owner.close())
  expect((await members.during(standby)).health().cluster).toMatchObject({ member: 'b' })
})

test('a standby that lost its turn connects again and waits, although the engine refuses it', async () => {
  const members = new Members()
  let refusal: KeelsonError | undefined
  const open = async () => {
    if (refusal) throw refusal
    return members.engine.connect('c')
  }
  const owner = await members.start('a')
  const engine = { description: 'refusing', open }
  const standby = members.begin('b', { cluster: { engine } as never })
  await members.clock.advance(2 * leaseMs)
  const lane = members.engine.connect('c').directory
  refusal = new KeelsonError('CONFIG', 'fsync is off')
  // Somebody has ended the lease of the standby.
  const entry = (await members.during(lane.view())).entries.get('member/b')
  const { sum: _, ...lease } = JSON.parse(entry?.value ?? '')
  const ended = entryText('member/b', { ...lease, ended: true })
  await members.during(lane.set('member/b', entry?.revision ?? 0, ended))
  await members.clock.advance(5_000)
  expect(members.steps).toContain('b: waiting refusing: CONFIG: fsync is off')

  refusal = undefined
  await members.clock.advance(5_000)
  await members.during(owner.close())

  expect((await members.during(standby)).health().cluster).toMatchObject({ member: 'b' })
})

test('a start that waits for the engine says why at once and each minute', async () => {
  const members = new Members()
  const waiting = new AbortController()
  const engine = refusing('UNKNOWN_OUTCOME', 'no connection')
  const begun = members.begin('a', { cluster: { engine, signal: waiting.signal } as never })
  const failed = begun.catch((error: unknown) => error)

  await members.clock.advance(185_000)

  expect(members.steps).toEqual(
    Array(4).fill('a: waiting refusing: UNKNOWN_OUTCOME: no connection'),
  )
  waiting.abort()
  await expect(members.during(failed)).resolves.toMatchObject({ code: 'CLOSED' })
})

test('a start that the engine does not serve within startTimeoutMs is TIMEOUT, and says for what it waited', async () => {
  const members = new Members()
  const engine = refusing('UNKNOWN_OUTCOME', 'no connection')
  const failed = members
    .begin('a', { cluster: { engine, startTimeoutMs: 30_000 } as never })
    .catch((error: unknown) => error)
  await members.clock.advance(29_000)
  expect(members.steps).toHaveLength(1)

  await members.clock.advance(1_001)

  expect(await members.during(failed)).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining('no connection'),
    details: { limitMs: 30_000 },
  })
})

test('a standby waits for the owner beyond startTimeoutMs, and for the engine no longer', async () => {
  const members = new Members()
  await members.start('a')
  const failed = members
    .begin('b', { cluster: { startTimeoutMs: 2_000 } as never })
    .catch((error: unknown) => error)
  await members.clock.advance(60_000)
  expect(members.steps.filter((step) => step.startsWith('b'))).toHaveLength(2)

  const session = members.sessions.get('b') as SimulatedSession
  session.refusal = new KeelsonError('UNKNOWN_OUTCOME', 'no connection')
  await members.clock.advance(5_000)

  expect(await members.during(failed)).toMatchObject({ code: 'TIMEOUT' })
  expect(members.steps.at(-1)).toBe('b: waiting UNKNOWN_OUTCOME: no connection')
})

test('a cluster keeps its number of shards', async () => {
  const members = new Members()
  await members.during((await members.start('a', { shards: 2 })).close())

  await expect(members.start('b', { shards: 3 })).rejects.toMatchObject({
    code: 'CONFIG',
    details: { path: 'shards' },
  })
})

type State = { readonly cents: number }
type Messages = {
  calls: { add: (cents: number) => number; read: () => number; pay: () => void }
  continues: { charge: () => void }
}

test('an owner that is unsure answers no turn that only reads, and aborts the signals of steps', async () => {
  let aborted: unknown
  const account: DurableServer<Messages, State> = {
    init: () => ({ cents: 0 }),
    calls: {
      add: ({ cents }, more) => reply(cents + more, { cents: cents + more }),
      read: (state) => reply(state.cents, state),
      pay: (state) => reply(undefined, { ...state }, { continue: ['charge'] }),
    },
    continues: {
      charge: async (state, _, { signal }) => {
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted = signal.reason
            resolve()
          })
        })
        return noReply(state)
      },
    },
  }
  const members = new Members()
  const kind = entity('account', account)
  const app = await members.start('a', { app: supervisor('app', {}, [kind]) })
  const [one, other] = [app.entity(kind).ref('1'), app.entity(kind).ref('2')]
  await members.during(call(one, 'add', 5))
  await members.during(call(other, 'pay', undefined))
  expect(await members.during(call(one, 'read', undefined))).toBe(5)

  const phases: unknown[] = []
  app.events.on('cluster.phase', ({ at, ...told }) => phases.push(told))
  members.sessions.get('a')?.pause(leaseMs)
  await members.clock.advance(0.9 * leaseMs)
  expect(app.health().cluster).toEqual({
    ...{ name: 'c', member: 'a', engine: 'simulated', copies: 1, leaseMs },
    ...{ phase: 'unsure', epoch: 1, leftMs: 0, since: expect.any(Number) },
    reason: 'UNKNOWN_OUTCOME: the engine gave no answer',
  })
  const read = call(one, 'read', undefined).catch((error: unknown) => error)

  await expect(members.during(read)).resolves.toMatchObject({
    code: 'SHARD_DOWN',
    details: { state: 'unsure' },
  })
  expect(aborted).toMatchObject({ code: 'FENCED' })

  // Nobody else has claimed it: it goes on.
  await members.clock.advance(2 * leaseMs)
  expect(await members.during(call(one, 'read', undefined))).toBe(5)
  expect(app.entity('account').state('1')).toEqual({ cents: 5 })
  const told = { instance: 'default', member: 'a', epoch: 1 }
  expect(phases).toEqual([
    { ...told, phase: 'unsure' },
    { ...told, phase: 'owner' },
  ])
  expect(app.health().cluster).toMatchObject({ phase: 'owner' })
})

test('a member whose clock differs from that of the engine by more than 10 s claims nothing until it is set', async () => {
  const members = new Members()
  members.engine.aheadMs = 12_000
  const start = members.begin('a')
  await members.clock.advance(3 * leaseMs)
  expect(members.steps).toEqual([
    "a: waiting simulated: UNKNOWN_OUTCOME: the clock of this machine is 12 s behind the engine's",
  ])

  members.engine.aheadMs = 9_000
  const app = await members.during(start)

  expect(app.health().cluster).toMatchObject({ phase: 'owner' })
})

test('a member with many shards makes Node warn of nothing', async () => {
  const warnings: unknown[] = []
  const hear = (warning: unknown): void => void warnings.push(warning)
  process.on('warning', hear)
  const members = new Members()
  const app = await members.start('a', { shards: 16 })
  await members.during(app.close())
  process.off('warning', hear)

  expect(warnings).toEqual([])
})

test('a log has no feature while an owner or a standby does not read it, and an older version is refused afterwards', async () => {
  const members = new Members()
  const marks = (): number => members.engine.kept('c', '0').head.features
  const older = await members.start('a')
  members.reads.set('b', 1)
  const standby = members.begin('b')
  await members.clock.advance(3 * leaseMs)
  await members.during(older.store.put('k', 1))
  await members.during(older.close())
  const owner = await members.during(standby)
  expect(marks()).toBe(0)
  await members.clock.advance(3 * leaseMs)
  await members.during(owner.store.put('k', 2))
  expect(marks()).toBe(1)

  const refused = { code: 'UNSUPPORTED_VERSION', details: { features: 1 } }
  await expect(members.during(members.begin('a'))).rejects.toMatchObject(refused)
  members.reads.set('a', 3)
  const next = members.begin('a')
  await members.during(owner.close())
  const app = await members.during(next)
  expect(app.store.get('k')).toBe(2)
})

test('an older version that begins within a lease of a newer one is not refused, as after a power cut', async () => {
  const members = new Members()
  members.reads.set('a', 1)
  const owner = await members.start('a')
  await members.clock.advance(0.8 * leaseMs)
  const older = members.begin('b')
  await members.clock.advance(3 * leaseMs)
  await members.during(owner.store.put('k', 1))
  expect(members.engine.kept('c', '0').head.features).toBe(0)
  await members.during(owner.close())
  expect((await members.during(older)).store.get('k')).toBe(1)
})

test('a standby that does not read a feature keeps it out of the logs', async () => {
  const members = new Members()
  const older = await members.start('a')
  members.reads.set('b', 1)
  const newer = members.begin('b')
  await members.clock.advance(3 * leaseMs)
  const oldest = members.begin('c')
  oldest.catch(() => undefined)
  await members.clock.advance(3 * leaseMs)
  await members.during(older.close())
  const owner = await members.during(Promise.race([newer, oldest]))
  await members.clock.advance(3 * leaseMs)
  await members.during(owner.store.put('k', 1))
  expect(members.engine.kept('c', '0').head.features).toBe(0)
  await members.during(owner.close())
  await members.during(Promise.all([newer, oldest]))
})
