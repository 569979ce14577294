/**
 * A full disk is a refusal and never the end of the process: LMDB's own reactions range from an
 * unhandled rejection to SIGBUS. Runs in a child process, once with a limit on file sizes, which
 * every machine has, and once on a really full file system, where one may be mounted.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { noSmallDisk, smallDisk } from '../../support/harm/small-disk.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const refusedAndWhole = {
  full: 'NO_SPACE',
  unchanged: true,
  again: new Array(20).fill('NO_SPACE'),
  stillUnchanged: true,
  after: true,
  state: 'sound',
}

const program = join(import.meta.dirname, '../../support/programs/projection-full.mjs')

/** Runs the program, after `before` in a shell, and returns its output. */
const run = (before: string, args: readonly string[]): unknown => {
  const command = `${before} && exec "$0" "$@"`
  const { status, signal, stderr, output } = spawnSync(
    'sh',
    ['-c', command, process.execPath, program, ...args],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], encoding: 'utf8' },
  )
  expect({ status, signal }, stderr.slice(-2000)).toEqual({ status: 0, signal: null })
  return JSON.parse(output[3] ?? 'null')
}

/** The writer of commits: the store itself, or the thread of the built package. */
const writers = ['store', 'thread']

test.each(writers)(
  'a commit of the %s beyond the limit of the file size is NO_SPACE, and the store continues',
  (writer) => {
    // The shell counts in blocks of 512 or 1,024 bytes.
    const args = [join(tempFolder(), 'lmdb'), '-', writer]
    expect(run('ulimit -S -f 6000', args)).toEqual(refusedAndWhole)
  },
)

describe.skipIf(lacks(noSmallDisk))('tmpfs', () => {
  test.each(writers)(
    'a commit of the %s on a full file system is NO_SPACE, and works once there is room',
    (writer) => {
      const folder = smallDisk('6m')
      const filler = join(folder, 'filler')
      writeFileSync(filler, Buffer.alloc(2 << 20))
      expect(run('true', [join(folder, 'lmdb'), filler, writer])).toEqual(refusedAndWhole)
    },
  )
})
