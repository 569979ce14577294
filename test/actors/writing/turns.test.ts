/** Turns in an instance: on the way into the log, in the rows, and after each kind of end. */
import { describe, expect, test } from 'vitest'
import { newestRows } from '../../../src/actors/core/read-view.ts'
import { Applier } from '../../../src/actors/index.ts'
import { submit } from '../../../src/actors/writing/write-path.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  alarmRowKey,
  type Command,
  dueRowKey,
  type EntityRowChange,
  encodeIndexValue,
  encodeValue,
  entityOf,
  entityRowKey,
  indexRowKey,
  mainRowOf,
  noExpiry,
  readEntityRow,
  refusalError,
  type Turn,
  type UnitAnswer,
} from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { seedsOf } from '../../support/tier.ts'
import { options } from '../../support/worlds/blob-instance.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const entity = 'order/42'
const markOf = (seq: number) => ({ incarnation: '00000000000000aa', seq })

/** The turn number `seq`, which follows the one before it. */
const turn = (
  seq: number,
  rows: readonly EntityRowChange[] = [],
  writes: readonly Command[] = [],
): Turn => ({
  kind: 'turn',
  entity,
  follows: seq === 1 ? undefined : markOf(seq - 1),
  row: mainRowOf(markOf(seq), Buffer.from(`state ${seq}`)),
  rows,
  writes,
})

const put = (key: string, value: unknown): Command => ({
  kind: 'put',
  key,
  value: encodeValue(value),
  expiry: noExpiry,
})

const shardOf = (app: App) => {
  const [shard] = app.shards
  if (!shard) throw new Error('no shard')
  return shard
}

const write = { ack: 'applied', deadlineMs: 5_000, whenFull: 'wait', windowMs: 0 } as const

const submitted = (app: App, ...units: readonly Turn[]): Promise<readonly UnitAnswer[]> =>
  submit(app.system, shardOf(app), { units, options: write }).then(({ answers }) => answers)

/** The code of each refusal, and the kind of each other answer. */
const toldOf = (answers: readonly UnitAnswer[]): readonly string[] =>
  answers.map((answer) => (answer.kind === 'refused' ? refusalError(answer).code : answer.kind))

/** The rows of the entity as the shard shows them. */
const rowsOf = (app: App): readonly (readonly [key: string, content: string])[] => {
  const { overlay, projection } = shardOf(app).view().layers
  return [...newestRows(overlay, projection, {})].flatMap(([key, row]) => {
    if (!row || entityOf(key) !== entity) return []
    const bytes = key === entityRowKey(entity) ? readEntityRow(row).body : row.value.bytes
    return [[key, Buffer.from(bytes).toString()] as const]
  })
}

const alarm = alarmRowKey(entity, 'unpaid')
const status = indexRowKey('order', 'status', encodeIndexValue('placed'), '42')
const receipt = '{order/42}:receipt'

/** An instance whose entity has a row of several classes, and a key that a turn wrote. */
const withTurns = async () => {
  const { world, app } = await started()
  const rows: EntityRowChange[] = [
    [alarm, Buffer.from('at 90')],
    [dueRowKey(90, entity, 'unpaid'), Buffer.of()],
    [status, Buffer.of()],
  ]
  await world.during(submitted(app, turn(1, rows)))
  const later: EntityRowChange[] = [[dueRowKey(90, entity, 'unpaid'), undefined]]
  await world.during(submitted(app, turn(2, later, [put(receipt, 'paid')])))
  return { ...world, app }
}

const shown = [
  [alarm, 'at 90'],
  [entityRowKey(entity), 'state 2'],
  [status, ''],
]

describe('the rows of an entity', () => {
  test('are there after a clean close, with what its turns wrote', async () => {
    const { app, start, during } = await withTurns()
    expect(rowsOf(app)).toEqual(shown)
    await during(app.close())

    const again = await start()

    expect([rowsOf(again), again.store.get(receipt)]).toEqual([shown, 'paid'])
  })

  test('are there after a power cut, whatever the projection has', async () => {
    const { app, disk, projections, start, during } = await withTurns()
    disk.crash()
    await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    projections.loseCommits('/data/shard-0/lmdb', 1)

    const again = await start()

    expect([rowsOf(again), again.store.get(receipt)]).toEqual([shown, 'paid'])
  })

  test('are rebuilt from the log without a projection', async () => {
    const { app, projections, start, during } = await withTurns()
    await during(app.close())
    projections.remove('/data/shard-0/lmdb')

    const again = await start()

    expect([rowsOf(again), again.store.get(receipt)]).toEqual([shown, 'paid'])
  })

  test('are there after the death of the applier', async () => {
    const { app, clock, during } = await withTurns()
    app.system.kill(Applier.name(0))
    await clock.advance(1_000)
    await during(submitted(app, turn(3)))

    expect(rowsOf(app)[1]).toEqual([entityRowKey(entity), 'state 3'])
  })

  test('are not reached by users: neither ranges nor a clear of every key', async () => {
    const { app, during } = await withTurns()
    expect(app.store.range({}).entries.map(([key]) => key)).toEqual([receipt])
    await during(app.store.clear())
    expect(app.store.range({}).entries).toEqual([])
    expect(rowsOf(app)).toEqual(shown)
  })
})

test('the rows of entities are not walked for what has expired', { tags: ['slow'] }, async () => {
  const { clock, during, projections, app } = await started()
  const alarms = (seq: number) =>
    Array.from(
      { length: 2_500 },
      (_, at): EntityRowChange => [alarmRowKey(entity, `${seq}.${at}`), Buffer.of()],
    )
  for (const seq of [1, 2, 3, 4]) await during(submitted(app, turn(seq, alarms(seq))))
  await during(app.store.put('ends', 1, { ttlMs: 500 }))
  await during(app.store.lock(['kept'], { owner: 'ann', leaseMs: 500 }))
  await during(app.control.flush(0))

  // One step is soon enough. A walk through all rows takes ten, with a pause behind each.
  await clock.advance(1_600)
  await during(app.control.flush(0))
  const left = [...projections.open('/data/shard-0/lmdb').range({ gt: '\0f' })]
  const counters = (key: string): boolean => key.startsWith('\0v$entities')
  expect(left.filter(([key]) => !counters(key))).toEqual([])
})

describe('turns under way', () => {
  test('take effect in the order of their calls, and the second of two that follow one is CONFLICT', async () => {
    const { during, app } = await started()
    const stale: Turn = { ...turn(3), follows: markOf(1) }
    const answers = Promise.all([
      submitted(app, turn(1), turn(2)),
      submitted(app, stale),
      submitted(app, turn(3)),
    ])

    expect((await during(answers)).map(toldOf)).toEqual([['turn', 'turn'], ['CONFLICT'], ['turn']])
    expect(rowsOf(app)).toEqual([[entityRowKey(entity), 'state 3']])
  })

  test('stay behind a turn whose write is a blob on its way', async () => {
    const { during, app } = await started(options)
    const large = 'x'.repeat(5_000)
    const answers = Promise.all([
      submitted(app, turn(1, [], [put(receipt, large)])),
      submitted(app, turn(2)),
    ])

    expect((await during(answers)).map(toldOf)).toEqual([['turn'], ['turn']])
    expect(rowsOf(app)).toEqual([[entityRowKey(entity), 'state 2']])
    expect(app.store.get(receipt)).toBe(large)
  })

  test('with a large state beside a blob count its bytes at the gate', async () => {
    const { during, app } = await started({ ...options, wal: { queueBytes: 64 * 1024 } })
    const state = mainRowOf(markOf(1), new Uint8Array(40_000))
    const first = submitted(app, { ...turn(1, [], [put(receipt, 'x'.repeat(5_000))]), row: state })

    expect(shardOf(app).gate.load.bytes).toBeGreaterThanOrEqual(45_000)
    expect(toldOf(await during(first))).toEqual(['turn'])
    expect(shardOf(app).gate.load.bytes).toBe(0)
  })
})

describe('a power cut among turns', () => {
  const entities = ['order/1', 'order/2', 'line/1']
  const keyOf = (name: string): string => `{${name}}:receipt`

  /** The turn number `seq` of `name`: state, alarm and a user's key all say `seq`. */
  const whole = (name: string, seq: number): Turn => ({
    ...turn(
      seq,
      [[alarmRowKey(name, 'a'), Buffer.from(`${seq}`)]],
      [put(keyOf(name), seq), put(`${keyOf(name)}:large`, String(seq).repeat(1_500))],
    ),
    entity: name,
  })

  test.each(seedsOf(3, 60))(
    'leaves each entity in a whole state, its last answered one or a later one: seed %i',
    async (seed) => {
      const random = seededRandom(seed)
      const { clock, disk, projections, start, during, app } = await started(options, { syncMs: 2 })
      const answered = new Map(entities.map((name) => [name, 0]))
      for (const name of entities)
        for (let seq = 1; seq <= 40; seq++)
          submitted(app, whole(name, seq)).then(
            ([answer]) => answer?.kind === 'turn' && answered.set(name, seq),
            () => undefined,
          )
      await clock.advance(Math.floor(random() * 40))
      disk.crash()
      const before = new Map(answered)
      await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
      projections.loseCommits('/data/shard-0/lmdb', Math.floor(random() * 3))

      const again = await start(options)

      const view = shardOf(again).view()
      for (const name of entities) {
        const row = view.row(entityRowKey(name))
        const seq = row ? readEntityRow(row).mark.seq : 0
        expect(seq).toBeGreaterThanOrEqual(before.get(name) ?? 0)
        const alarmed = view.row(alarmRowKey(name, 'a'))?.value.bytes
        expect(Number(Buffer.from(alarmed ?? []).toString())).toBe(seq)
        expect(again.store.get(keyOf(name)) ?? 0).toBe(seq)
      }
      for (const name of entities) {
        const seq = (again.store.get(keyOf(name)) as number | undefined) ?? 0
        const large = again.store.get(`${keyOf(name)}:large`) ?? ''
        expect(large).toBe(seq === 0 ? '' : String(seq).repeat(1_500))
        expect(toldOf(await during(submitted(again, whole(name, seq + 1))))).toEqual(['turn'])
      }
    },
  )
})

describe('the soonest due alarm of a shard', () => {
  const due = (ms: number): EntityRowChange => [dueRowKey(ms, entity, 'unpaid'), Buffer.of()]
  const cancelled: EntityRowChange = [dueRowKey(100, entity, 'unpaid'), undefined]

  test('is noted when a turn sets it, and a listener is told of sooner ones only', async () => {
    const { during, app } = await started()
    const { due: watch } = shardOf(app)
    let told = 0
    watch.listen(() => told++)
    expect(watch.soonest).toBe(Number.POSITIVE_INFINITY)

    await during(submitted(app, turn(1, [due(900), due(700)])))
    expect([watch.soonest, told]).toEqual([700, 1])

    await during(submitted(app, turn(2, [due(800)])))
    await during(submitted(app, turn(3, [cancelled])))
    await during(submitted(app, turn(4, [[alarmRowKey(entity, 'x'), Buffer.of()]])))
    await during(app.store.put('k', 1, { ttlMs: 5 }))
    expect([watch.soonest, told]).toEqual([700, 1])

    await during(submitted(app, turn(5, [due(600)])))
    expect([watch.soonest, told]).toEqual([600, 2])
  })

  test('is not noted for a turn that is refused', async () => {
    const { during, app } = await started()
    expect(toldOf(await during(submitted(app, turn(2, [due(700)]))))).toEqual(['CONFLICT'])
    expect(shardOf(app).due.soonest).toBe(Number.POSITIVE_INFINITY)
  })
})
