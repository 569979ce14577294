/**
 * Random histories of all commands. Every answer and state equals the model's. The rows are the
 * same however the frames are applied: unit by unit, in batches of the projection, through LMDB, or
 * over an overlay.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ReadView } from '../../../src/actors/core/read-view.ts'
import { Overlay } from '../../../src/actors/overlay/overlay.ts'
import { ShardRows } from '../../../src/actors/overlay/shard-rows.ts'
import { NotedChanges } from '../../../src/actors/projection/applied-frames.ts'
import { Outbox } from '../../../src/actors/projection/outbox.ts'
import type { Unit } from '../../../src/storage/commands/command.ts'
import type { UnitAnswer } from '../../../src/storage/commands/command-answer.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import type { ProjectionStore, Row } from '../../../src/storage/ports/projection-store.ts'
import { fieldCount } from '../../../src/storage/rows/field-commands.ts'
import { ProjectionRows } from '../../../src/storage/rows/rows.ts'
import { applyUnit } from '../../../src/storage/rows/unit-application.ts'
import { entityOf, entityRowKey } from '../../../src/storage/values/entity-key.ts'
import { readEntityRow } from '../../../src/storage/values/entity-row.ts'
import { compoundOf } from '../../../src/storage/values/row-key.ts'
import { memoryProjections } from '../../../src/testing/simulated/memory-projection-store.ts'
import { EntityModel, hexOf } from '../../support/models/entity-model.ts'
import { BlobTable, commandsIn, history, type Step } from '../../support/models/store-histories.ts'
import { StoreModel } from '../../support/models/store-model.ts'
import { keys } from '../../support/models/store-writes.ts'
import { countOf } from '../../support/tier.ts'
import { appliedUnit } from '../../support/worlds/applied-unit.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { roomy } from '../../support/worlds/overlay-limits.ts'
import { pendingFrames, wholeBatch } from '../../support/worlds/pending-frames.ts'

const count = countOf('KEELSON_HISTORIES', 60, 3_000)
const seed = process.env.KEELSON_SEED ? Number(process.env.KEELSON_SEED) : undefined
const parameters = (numRuns: number) => ({ numRuns, ...(seed === undefined ? {} : { seed }) })

const walId = '000102030405060708090a0b0c0d0eff'

/** An answer in the terms of the model. */
const told = (answer: UnitAnswer, table: BlobTable): unknown => {
  if (answer.kind === 'refused') return answer.reason.code
  if (answer.kind === 'batch' || answer.kind === 'turn')
    return answer.answers.map((each) => told(each, table))
  const { kind: _, previous, current, ...rest } = answer as typeof answer & Record<string, never>
  return { ...rest, previous: table.valueOf(previous), current: table.valueOf(current) }
}

/**
 * Runs a history on the model and on `apply`, and compares the answers. `apply` gets each unit as a
 * decoded frame and as the caller wrote it.
 */
const play = (
  steps: readonly Step[],
  table: BlobTable,
  apply: (frame: Uint8Array, time: number, lsn: number, unit: Unit) => UnitAnswer,
): {
  model: StoreModel
  entities: EntityModel
  frames: { frame: Uint8Array; time: number; lsn: number }[]
  now: number
} => {
  const model = new StoreModel()
  const entities = new EntityModel()
  const frames: { frame: Uint8Array; time: number; lsn: number }[] = []
  let now = 100
  for (const step of steps) {
    now += step.after
    const commands = commandsIn(step, table)
    const [command] = commands
    // A `deleteMany` of no key is no command.
    if (command === undefined && !step.turn) continue
    const isAlone = step.write.kind !== 'batch'
    const alone = isAlone && command ? command : ({ kind: 'batch', commands } as const)
    const unit: Unit = step.turn ? entities.turnOf(step.turn, commands) : alone
    const frame = encodeFrame([unit])
    const lsn = frames.push({ frame, time: now, lsn: frames.length + 1 })
    const answer = apply(frame, now, lsn, unit)
    const write = () => model.apply(step.write, now)
    const outcome = unit.kind === 'turn' ? entities.take(unit, write) : write()
    const done = 'refused' in outcome ? outcome.refused : outcome.answer
    const isOne = unit.kind === 'turn' && isAlone && 'answer' in outcome
    expect(told(answer, table)).toEqual(isOne ? [done].slice(0, commands.length) : done)
  }
  return { model, entities, frames, now }
}

/** The rows of entities in the terms of their model. */
const entitiesIn = (rows: Iterable<readonly [string, Row]>): EntityModel['shown'] => {
  const states = new Map<string, object>()
  const others = new Map<string, string>()
  for (const [key, row] of rows) {
    const entity = entityOf(key)
    if (entity === undefined) continue
    if (key !== entityRowKey(entity)) others.set(key, hexOf(row.value.bytes))
    else {
      const { mark, body } = readEntityRow(row)
      states.set(entity, { mark, body: hexOf(body) })
    }
  }
  return { states, rows: others }
}

const only = (frame: Uint8Array) => decodeFrame(frame).units[0] as never

const bytesOf = (row: Row) => [
  row.value.tag,
  Buffer.from(row.value.bytes).toString('hex'),
  row.expiresAt,
]
const shown = (rows: Iterable<readonly [string, Row]>) =>
  [...rows]
    .map(([key, row]) => [key, ...bytesOf(row)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))

/** Compares the reads of a view with the model. */
const compareReads = (view: ReadView, model: StoreModel, now: number, table: BlobTable): void => {
  const live: string[] = []
  for (const key of keys) {
    const { isCompound, value } = model.get(key, now)
    const row = view.get(key, now)
    if (value !== undefined) live.push(key)
    expect(row && (row.expiresAt || Number.POSITIVE_INFINITY) - now).toEqual(model.ttl(key, now))
    if (isCompound) {
      const fields = [...view.fields(key, now)].map(
        ([name, each]) => [name, table.valueOf(each.value)] as const,
      )
      expect(new Map(fields)).toEqual(value)
      for (const name of ['f', 'g', 'h'])
        expect(table.valueOf(view.field(key, name, now)?.value)).toEqual(
          (value as Map<string, unknown>).get(name),
        )
    } else expect(table.valueOf(row?.value)).toEqual(value)
  }
  const inOrder = live.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  expect([...view.range({}, now)].map(([key]) => key)).toEqual(inOrder)
  expect([...view.range({ reverse: true }, now)].map(([key]) => key)).toEqual(inOrder.reverse())
}

/** Every field has a head, each head has the right count, and the marker exists. */
const checkCompounds = (rows: ReadonlyMap<string, Row>): void => {
  const counts = new Map<string, number>()
  for (const rowKey of rows.keys()) {
    const key = compoundOf(rowKey)
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  for (const [key, row] of rows)
    if (row.value.tag === 4) {
      expect(fieldCount(row)).toBe(counts.get(key))
      counts.delete(key)
      expect(rows.has('\0c')).toBe(true)
    }
  expect([...counts]).toEqual([])
}

describe('a history of any commands', () => {
  test('gives the answers and the state of the model', { tags: ['slow'], timeout: 600_000 }, () => {
    fc.assert(
      fc.property(history, (steps) => {
        const table = new BlobTable()
        const rows = new MapRows([], table.read)
        const { model, entities, frames, now } = play(steps, table, (frame, time) => {
          const { changes, answer } = appliedUnit(only(frame), rows, time)
          if (answer.kind === 'refused') expect(changes).toEqual([])
          rows.take(changes)
          return answer
        })
        checkCompounds(rows.rows)
        expect(entitiesIn(rows.rows)).toEqual(entities.shown)
        const store = memoryProjections({ turnsMax: 0 }).open('p')
        void store.commit(rows.rows, { walId, epoch: 1, lsn: frames.length })
        compareReads(new ReadView(new Overlay(roomy), store), model, now, table)
      }),
      parameters(count),
    )
  })

  test('gives the same rows over an overlay that forgets rows projected from outbox or log', () => {
    const commit = fc.record({ frames: fc.nat(3), isFromLog: fc.boolean() })
    const commits = fc.array(commit, { minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(history, commits, (steps, drawn) => {
        const table = new BlobTable()
        const store = memoryProjections({ turnsMax: 0 }).open('p')
        const overlay = new Overlay(roomy)
        const rows = new ShardRows(overlay, store, table.read)
        const plainRows = new MapRows([], table.read)
        const behind: { frame: Uint8Array; time: number; lsn: number }[] = []
        const outbox = new Outbox(100, 2 ** 30)
        const projection = new ProjectionRows(store, table.read)
        const { model, now } = play(steps, table, (frame, time, lsn, unit) => {
          // A live unit is applied as the caller wrote it; projection and replay decode it from its
          // frame.
          rows.begin(lsn)
          const changes = new NotedChanges(rows)
          const answer = applyUnit(unit, rows, { lsn, time }, changes)
          changes.end(frame.length)
          outbox.push({ time, durableLsn: lsn, lsns: [lsn], units: [[unit]], changes }, 0, 0)
          plainRows.take(appliedUnit(only(frame), plainRows, time, lsn).changes)
          behind.push({ frame, time, lsn })
          const { frames = 0, isFromLog = true } = drawn[lsn - 1] ?? {}
          const taken = behind.splice(0, frames)
          if (taken.length > 0) {
            const source = isFromLog ? pendingFrames(taken) : outbox
            const batch = wholeBatch(source, projection, taken.at(-1)?.lsn ?? 0)
            expect(batch.frame).toEqual(pendingFrames(taken).mark(taken.length - 1))
            void store.commit(batch.changes, { walId, epoch: 1, lsn: batch.lsn })
            outbox.drop(batch.frames)
            overlay.forget(batch.lsn)
          }
          return answer
        })
        expect(shown(rows.range({}))).toEqual(shown(plainRows.rows))
        compareReads(new ReadView(overlay, store), model, now, table)
      }),
      parameters(Math.ceil(count / 2)),
    )
  }, 600_000)

  test('gives the same rows in LMDB, however it is split into transactions, and LMDB is sound', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'keelson-histories-'))
    const disk = nodeDisk()
    let store: ProjectionStore | undefined
    try {
      const projections = lmdbProjections(await loadLmdb(), disk, (at) =>
        Promise.resolve(examineProjection(disk, at)),
      )
      const opened = projections.open(dir)
      store = opened
      let lsn = 0
      fc.assert(
        fc.property(history, fc.integer({ min: 1, max: 16 }), (steps, size) => {
          void opened.commit(
            [...opened.range({})].map(([key]) => [key, undefined] as const),
            { walId, epoch: 1, lsn: ++lsn },
          )
          const table = new BlobTable()
          const rows = new MapRows([], table.read)
          const { frames } = play(steps, table, (frame, time, at) => {
            const { changes, answer } = appliedUnit(only(frame), rows, time, at)
            rows.take(changes)
            return answer
          })
          for (let at = 0; at < frames.length; at += size) {
            const part = frames.slice(at, at + size)
            const batch = wholeBatch(
              pendingFrames(part),
              new ProjectionRows(opened, table.read),
              frames.length,
            )
            void opened.commit(batch.changes, { walId, epoch: 1, lsn: ++lsn })
          }
          expect(shown(opened.range({}))).toEqual(shown(rows.rows))
        }),
        parameters(Math.ceil(count / 10)),
      )
      await opened.close()
      expect(await projections.examine(dir)).toMatchObject({ state: 'sound' })
    } finally {
      await store?.close()
      rmSync(dir, { recursive: true })
    }
  }, 600_000)
})
