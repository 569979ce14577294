/** The examples of the docs are run as they stand, on the built package. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, parse, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { examplePages, examplesOf, expectSaid, folderInside } from './support/doc-examples.ts'

const oneAfterAnother = join(import.meta.dirname, 'support/programs/one-after-another.mjs')

test('the examples in the docs print what they say', async () => {
  const examples = examplePages.flatMap((page) => {
    const found = examplesOf(page, 'js')
    expect(found.length, page).toBeGreaterThan(0)
    return found.map((code) => ({ page, code }))
  })
  const files = examples.map(({ page, code }) => {
    const path = join(folderInside(), `${parse(page).name}.mjs`)
    writeFileSync(path, code)
    return resolve(path)
  })

  // In one process: most of the time of a short program is its start.
  const { stdout } = await promisify(execFile)(process.execPath, [oneAfterAnother, ...files])

  const [before, ...outputs] = stdout.split(/^begins\n/m)
  expect([before, outputs.length]).toEqual(['', examples.length])
  for (const [at, { page, code }] of examples.entries())
    expectSaid(`// ${page}\n${code}`, outputs[at] ?? '')
  // Some fifty instances: on a busy disk they take minutes.
}, 400_000)

test('the server in a thread of docs/groups-and-pools.md prints what it says', async () => {
  const [hasher = '', service = ''] = examplesOf('docs/groups-and-pools.md', 'mjs')
  const cwd = folderInside()
  writeFileSync(join(cwd, 'hasher.mjs'), hasher)
  writeFileSync(join(cwd, 'example.mjs'), service)

  const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], { cwd })

  expectSaid(service, stdout)
})
