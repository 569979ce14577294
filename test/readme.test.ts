/** The README: its program does what its picture shows, on the built package, and a reader meets it first. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { running } from './support/commands/keelson-command.ts'
import { examplesOf, folderInside } from './support/doc-examples.ts'

/** The key of a step has the id of its run's start. */
const withoutId = (text: string): string => text.replace(/[0-9a-f]{16}/g, 'ID')

test('the program prints what the picture of the terminal shows, killed while it packs and started again', async () => {
  const [program = ''] = examplesOf('README.md', 'js')
  const [picture = ''] = examplesOf('README.md', 'console')
  const dir = folderInside()
  const run = (text: string) => {
    writeFileSync(join(dir, 'order.mjs'), text)
    return running(spawn(process.execPath, ['order.mjs'], { cwd: dir, stdio: 'pipe' }))
  }

  const first = run(program)
  await first.says('pack tea\n')
  first.process.kill('SIGKILL')
  const killed = await first.ended
  const second = await run(program.replace('5_000', '0')).ended

  const shown = picture.split(/^\$ .*\n/m).slice(1)
  expect([killed.output, second.output].map(withoutId)).toEqual(shown.map(withoutId))
  expect([second.status, second.errors]).toEqual([0, ''])
})

test('its first forty lines say what it is, for whom, and how to begin', () => {
  const head = readFileSync('README.md', 'utf8').split('\n').slice(0, 40).join('\n')
  for (const part of [
    'Durable actors, workflows, queues and a store in one npm package, no server',
    ...['Version 0.1', 'Node 20.19', 'Linux', 'MIT', 'not on a registry yet', '```console'],
    'npm install && npm start',
  ])
    expect(head).toContain(part)
})
