/** The own rows of a deleted entity: gone for everybody at once, removed in pieces. */

import { expect, test } from 'vitest'
import { Applier, Expirer, type StorageEvents } from '../../../src/actors/index.ts'
import { call } from '../../../src/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { rowClassOf } from '../../../src/storage/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { type Act, keepers, keeperTree } from '../../support/worlds/row-keeper.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const started = async (options: SimulatedOptions = {}) => {
  const s = await simulated({ app: keeperTree, ...options })
  const act = (id: string, does: Act) => s.during(call(s.app.entity(keepers).ref(id), 'act', does))
  /** How many rows of both classes are stored. */
  const left = () => {
    const { overlay, projection } = (s.app.shards[0] as (typeof s.app.shards)[0]).view().layers
    const keys = new Set<string>()
    for (const [key, row] of [...projection.range({}), ...overlay.range({})])
      if (row) keys.add(key)
      else keys.delete(key)
    const of = (name: string) => [...keys].filter((key) => rowClassOf(key) === name).length
    return { own: of('own'), removal: of('removal') }
  }
  return { s, act, left }
}

const many =
  (count: number, value: unknown = 'old'): Act =>
  ({ rows }) => {
    for (let at = 0; at < count; at++) rows.put(`k${at}`, value)
  }
const all: Act = ({ rows }) => rows.range().entries

test('nobody sees them after the delete, nor does the next life, while they are there', async () => {
  const { s, act, left } = await started()
  await act('a', many(1_800))
  await act('b', many(3))
  const pieces: number[] = []
  telemetry<StorageEvents>(s.app.system).on('entity.rowsRemoved', ({ rows }) => pieces.push(rows))
  const handle = s.app.entity(keepers)
  const seen = handle.delete('a').then(() => [left(), handle.rows('a').range().entries])
  expect(await s.during(seen)).toEqual([{ own: 1_803, removal: 1 }, []])
  expect(await act('a', (context) => [all(context), many(2, 'new')(context)])).toEqual([
    [],
    undefined,
  ])
  await s.advance(2_000)
  expect(pieces).toEqual([...Array(7).fill(250), 50])
  expect(left()).toEqual({ own: 5, removal: 0 })
  expect(handle.rows('a').range().entries).toEqual([
    ['k0', 'new'],
    ['k1', 'new'],
  ])
})

test('many entities go in one piece, large values in small ones, and nothing is left', async () => {
  const { s, act, left } = await started({ blobs: { threshold: 0 } })
  const ids = Array.from({ length: 120 }, (_, at) => `e${at}`)
  for (const id of ids) await act(id, many(2))
  for (let at = 0; at < 12; at++)
    await act('large', ({ rows }) => rows.put(`k${at}`, Buffer.alloc(180_000)))
  const pieces: number[] = []
  telemetry<StorageEvents>(s.app.system).on('entity.rowsRemoved', ({ rows }) => pieces.push(rows))
  const handle = s.app.entity(keepers)
  await s.during(Promise.all([...ids, 'large'].map((id) => handle.delete(id))))
  await s.advance(5_000)
  expect(left()).toEqual({ own: 0, removal: 0 })
  expect(pieces.length).toBeLessThan(20)
  expect(Math.max(...pieces)).toBeGreaterThan(50)
})

test('the removal goes on after a death of its actor or of the applier, a kill and a power cut', async () => {
  const { s, act, left } = await started({ syncMs: 50 })
  await act('a', many(4_000))
  await s.during(s.app.entity(keepers).delete('a'))
  const someAreGone = async (before: number) => {
    while (left().own === before) await s.advance(25)
  }
  for (const breaks of [
    async () => s.app.system.kill(Expirer.name(0) as never),
    async () => s.app.system.kill(Applier.name(0) as never),
    async () => {
      await s.kill()
      await s.start()
    },
    async () => {
      await s.powerCut()
      await s.start()
    },
  ]) {
    const { own, removal } = left()
    expect(own).toBeGreaterThan(0)
    expect(removal).toBe(1)
    await someAreGone(own)
    await breaks()
    while (s.app.shards[0]?.phase.kind !== 'open') await s.advance(10)
  }
  await s.advance(5_000)
  expect(left()).toEqual({ own: 0, removal: 0 })
})
