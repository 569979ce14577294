/**
 * A process that has no descriptor to give: a roll opens nothing but its spare, and that before the
 * old segment is sealed. So a lack of descriptors refuses a commit and poisons no log.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  commit,
  content,
  openedLog,
  payload,
  readAll,
  segmentsOn,
} from '../../support/worlds/logs.ts'

const size = 500

/** The calls that need a descriptor. */
const opening = ['open', 'create'] as const

test('one EMFILE at any call of a roll refuses at most that commit, and the log goes on', () => {
  let refusals = 0
  for (let at = 1; ; at++) {
    const { world, log } = openedLog()
    const before = segmentsOn(world.disk).length
    const kept: string[] = []
    const { counts } = world.disk
    const opened = () => opening.reduce((sum, name) => sum + counts[name], 0)
    const first = opened()
    world.disk.inject({ at, operation: opening, fault: { kind: 'error', code: 'EMFILE' } })
    for (let number = 1; segmentsOn(world.disk).length < before + 2; number++) {
      const { refused, count } = commit(log, [payload(number, size)])
      if (count === 1) kept.push(content(number, size))
      else {
        refusals += 1
        expect(refused, `call ${at}`).toMatchObject({ code: 'READ_ONLY' })
      }
    }
    const calls = opened() - first
    log.abandon()
    world.disk.clearFaults()
    const found = readAll(world.open().log).map((frame) => frame.content)
    expect(found, `call ${at}`).toEqual(kept)
    if (calls < at) break
  }
  // Each of the two rolls makes a spare and opens it.
  expect(refusals).toBe(4)
})

test('a process without a descriptor refuses the appends that need a new segment, and no other', () => {
  const program = join(import.meta.dirname, '../../support/programs/no-descriptors.mjs')
  const run = ['-c', 'ulimit -n 128 && exec "$0" "$@"', process.execPath, program, tempFolder()]
  const { status, stderr, output } = spawnSync('sh', run, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  })

  expect(status, stderr.slice(-2000)).toBe(0)
  const { refused, kept, found } = JSON.parse(output[3] ?? 'null')
  expect(refused).toEqual(['READ_ONLY'])
  expect(found).toEqual(kept)
})
