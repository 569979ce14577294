/** The commands on the cache of a member, whose logs are in an engine (needs the build). */
import { rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { nodeDisk, readDataFolder, writeDataFolder } from '../../src/storage/index.ts'
import { commandHere } from '../support/commands/command-here.ts'
import { folderMadeOnce } from '../support/temp-folder.ts'

const origin = { cluster: 'shop', engine: 'PostgreSQL at db/keelson' }

/** A folder as `keelson cluster create --from` leaves it: its logs are in the engine, and are still here. */
const moved = folderMadeOnce(async (dir) => {
  const data = join(dir, 'd')
  const app = await start({ dir: data })
  await app.store.put('k', 'v', { ack: 'projected' })
  await app.close()
  const reading = readDataFolder(nodeDisk(), data)
  if (reading.state !== 'sound') throw new Error('the folder was not made')
  writeDataFolder(nodeDisk(), data, { ...reading.facts, cache: origin })
})

/** A folder as a member leaves it: with a projection, and without segments. */
const cache = (): string => {
  const dir = moved()
  rmSync(join(dir, 'd/shard-0/wal'), { recursive: true })
  return dir
}

test.each([
  ['wal', 'dump', 'd'],
  ['wal', 'salvage', 'd', '--to', 'd2'],
  ['backup', 'd', '--to', 'b'],
  ['open', 'd', '--at', '2026-01-01'],
])('%s %s says where the logs are', async (...words) => {
  const { status, errors } = await commandHere(words, cache())

  expect([status, errors]).toEqual([
    1,
    expect.stringMatching(/^CONFIG: .*cluster shop.*PostgreSQL at db\/keelson/s),
  ])
})

test('doctor says that it is a cache, and examines its projections', async () => {
  const dir = cache()
  const codes = async () => {
    const { status, output } = await commandHere(['doctor', 'd', '--json'], dir)
    const { findings } = JSON.parse(output) as { findings: { code: string }[] }
    return [status, ...findings.map(({ code }) => code).filter((code) => !code.startsWith('disk.'))]
  }

  expect(await codes()).toEqual([0, 'folder.cache'])
  truncateSync(join(dir, 'd/shard-0/lmdb/data.mdb'), 9_000)
  expect(await codes()).toEqual([1, 'folder.cache', 'projection.damaged'])
})

test('doctor says of a moved folder that its old logs may go once a member runs, and removes nothing', async () => {
  const dir = moved()
  const remedyIn = async (...words: string[]) => {
    const { status, output } = await commandHere(['doctor', 'd', '--json', ...words], dir)
    const { findings } = JSON.parse(output) as { findings: { code: string; remedy: string }[] }
    return [status, findings.find(({ code }) => code === 'folder.cache')?.remedy]
  }
  const kept =
    'Keep the folders wal of its shards until a member runs, and remove them then: the engine has their logs.'

  expect(await remedyIn()).toEqual([0, kept])
  expect(await remedyIn('--repair')).toEqual([0, kept])
  expect(await remedyIn()).toEqual([0, kept])
  rmSync(join(dir, 'd/shard-0/wal'), { recursive: true })
  expect(await remedyIn()).toEqual([0, expect.stringMatching(/^Nothing\./)])
})
