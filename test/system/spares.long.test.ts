/** The second thread of a log, which makes its spares: a real disk and the built package. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'

const wal = { maxFileSize: 128 * 1024 }
const value = 'x'.repeat(1_000)

const filesIn = (dir: string, ending: string): string[] =>
  readdirSync(join(dir, 'shard-0', 'wal')).filter((name) => name.endsWith(ending))

test('spares become segments for dozens of rolls, and a close leaves no spare', async () => {
  const dir = tempFolder()
  const app = await start({ dir, wal })
  for (let round = 0; round < 60; round++)
    await Promise.all(
      Array.from({ length: 100 }, (_, at) => app.store.put(`k${round}:${at}`, value)),
    )
  await app.close()

  expect(filesIn(dir, '.wal').length).toBeGreaterThan(40)
  expect(filesIn(dir, '.tmp')).toEqual([])
  const again = await start({ dir, wal })
  for (const key of ['k0:0', 'k31:99', 'k59:99']) expect(again.store.get(key)).toBe(value)
  await again.close()
})

test('a life that writes little has no second thread, and makes no spare', async () => {
  const app = await start({ dir: tempFolder() })
  for (let at = 0; at < 100; at++) await app.store.put(`k${at}`, value)
  const { log } = await app.wal(0).describe()
  expect(log?.spares).toEqual({ ready: 0, making: false })
  await app.close()
})

test('neither thread of a log keeps an unreferenced process alive', async () => {
  const dir = tempFolder()
  const program = `
    import { start } from 'keelson'
    const app = await start({ dir: ${JSON.stringify(dir)}, wal: ${JSON.stringify(wal)} })
    app.unref()
    const value = 'x'.repeat(1000)
    for (let at = 0; at < 400; at++) await app.store.put('k' + at, value)
    console.log('acknowledged')
  `
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    )
  })
  expect(output).toBe('acknowledged\n')

  const app = await start({ dir, wal })
  for (let at = 0; at < 400; at++) expect(app.store.get(`k${at}`)).toBe(value)
  expect(filesIn(dir, '.wal').length).toBeGreaterThan(2)
  await app.close()
  expect(filesIn(dir, '.tmp')).toEqual([])
})
