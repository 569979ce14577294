/** `keelson doctor` and `keelson wal salvage` know the rows that durable actors keep (needs the build). */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type App, call, entity, reply, start, supervisor } from 'keelson'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { change } from '../../support/commands/command-logs.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const large = 'x'.repeat(300_000)
const keeper = {
  init: () => 0,
  calls: {
    put: (
      count: number,
      value: unknown,
      { rows }: { rows: { put(k: string, v: unknown): void } },
    ) => {
      rows.put(`k${count}`, value)
      return reply(count, count + 1)
    },
  },
}
const app = supervisor('app', {}, [entity('keeper', keeper as never)])

const made = async (): Promise<string> => {
  const dir = tempFolder()
  const running = await start({ dir: join(dir, 'd'), app })
  const ref = running.entity('keeper').ref('a') as never
  for (const value of ['small', large]) await call(ref, 'put' as never, value as never)
  await running.control.snapshotAll()
  await call(ref, 'put' as never, `${large}!` as never)
  await running.close()
  return dir
}

const rowsIn = (running: App): unknown[] =>
  ['k0', 'k1', 'k2'].map((key) => running.entity('keeper').rows('a').get(key))

test('a sound folder is sound; a damaged blob of a row is found, and its row named', async () => {
  const dir = await made()
  expect((await commandHere(['doctor', 'd', '--deep'], dir)).output).toContain('sound')
  const blobs = join(dir, 'd/shard-0/blobs')
  const [file = ''] = readdirSync(blobs).filter((name) => /\d/.test(name))
  change(join(blobs, file), 20_000, Buffer.from('damage'))
  const { status, output } = await commandHere(['doctor', 'd', '--deep', '--json'], dir)
  expect(status).not.toBe(0)
  expect(JSON.stringify(JSON.parse(output).findings)).toContain('keeper/a')
})

test('a salvaged folder has the rows and their blobs', async () => {
  const dir = await made()
  const salvaged = await commandHere(['wal', 'salvage', 'd', '--to', 'e', '--json'], dir)
  expect(salvaged).toMatchObject({ status: 0, errors: '' })
  const running = await start({ dir: join(dir, 'e'), app, acts: true })
  expect(rowsIn(running)).toEqual(['small', large, `${large}!`])
  await running.close()
})
