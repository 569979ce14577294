/** The examples of the README are run as they stand, on the built package. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { commandHere } from './support/commands/command-here.ts'
import { examplesOf, folderInside } from './support/doc-examples.ts'

test('the ten lines run on Node 20 as they stand', () => {
  const dir = folderInside()
  writeFileSync(join(dir, 'ten-lines.mjs'), examplesOf('README.md', 'js')[0] ?? '')

  const output = execFileSync(process.execPath, ['ten-lines.mjs'], { cwd: dir, encoding: 'utf8' })

  expect(output.split('\n')).toEqual([
    "{ name: 'Ada', born: 1815 }",
    'user:1 Ada',
    'user:2 Grace',
    '[ { shard: 0, ok: true }, { shard: 1, ok: true } ]',
    '',
  ])
})

test('the actor and its configuration run under `keelson start`, and keep the count when killed', async () => {
  const dir = folderInside()
  const [actor, configuration] = examplesOf('README.md', 'ts')
  writeFileSync(join(dir, 'counter.ts'), actor ?? '')
  writeFileSync(join(dir, 'keelson.config.ts'), configuration ?? '')
  const lines = [
    "call('counter', 'add', 2)",
    "call('counter', 'add', 2)",
    "kill('counter')",
    "call('counter', 'get')",
  ]

  const { output } = await commandHere(['start'], resolve(dir), { input: lines.join('\n') })

  const answers = output.split('\n').filter((line) => /^(\d+|killed counter.*)$/.test(line))
  expect(answers.map((line) => line.replace(/ <.*/, ''))).toEqual(['2', '4', 'killed counter', '4'])
})
