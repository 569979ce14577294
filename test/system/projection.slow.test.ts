/** A store that is killed while it is in use. Real files, the built package. */
import { execFileSync } from 'node:child_process'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'
import { thorough } from '../support/tier.ts'

const keys = Array.from({ length: thorough(800, 3_000) }, (_, at) => `key:${at}`)
const textOf = (key: string) => ({ key, text: key.repeat(10) })

const readAll = async (dir: string) => {
  const app = await start({ dir })
  const wrong = keys.filter(
    (key) => JSON.stringify(app.store.get(key)) !== JSON.stringify(textOf(key)),
  )
  const listed = app.store.range({ limit: 10_000 }).entries.length
  await app.close()
  return { wrong, listed }
}

test('the projection of a store that was in use when the process was killed is no worse for it', async () => {
  const dir = tempFolder()
  const program = `
    import { start } from 'keelson'
    const app = await start({ dir: ${JSON.stringify(dir)} })
    const puts = ${JSON.stringify(keys)}.map((key) => app.store.put(key, { key, text: key.repeat(10) }))
    await Promise.all(puts)
    process.kill(process.pid, 'SIGKILL')
  `
  expect(() =>
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' }),
  ).toThrow()

  expect(await readAll(dir)).toEqual({ wrong: [], listed: keys.length })
})
