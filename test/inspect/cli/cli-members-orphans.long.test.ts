/** Members whose parent was killed end in order, and the next start waits for them. Real processes. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { write } from '../../support/commands/command-project.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import {
  allClean,
  folderWith,
  shardStates,
  startMembers,
} from '../../support/commands/members-command.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'

/** A worker that writes to its parent all the time, and ends when the file `end` is there. */
const chatty = (dir: string): string => `import { existsSync } from 'node:fs'
  const mayEnd = () => existsSync(${JSON.stringify(join(dir, 'end'))})
  export const server = {
    init: (_, context) => {
      context.trapExit(true)
      setInterval(() => process.connected && process.send({ noise: 'x'.repeat(10_000) }), 1).unref()
      return null
    },
    calls: {}, casts: {},
    terminate: async () => {
      while (!mayEnd()) await new Promise((resolve) => setTimeout(resolve, 50))
    },
  }`

describe.skipIf(lacks(noFlock))('when the parent of members is killed (needs the build)', () => {
  test('members that write to it end in order, and a new start waits until they have', async () => {
    const dir = folderWith('')
    write(dir, 'worker.mjs', chatty(dir))
    const first = await startMembers(dir, 3)
    first.process.kill('SIGKILL')
    const words = ['run', 'service.json', '--dir', 'd', '--members', '3']
    const second = startKeelson(words, dir, {}, 'ignore')
    await second.says(/a: process \d+ holds the folder, a member whose parent/, 'errors')
    write(dir, 'end', '')
    const { errors } = await first.ended
    expect(errors).not.toContain('EPIPE')
    expect(errors.match(/[abc]: ends in order/g)).toHaveLength(3)

    await second.says('ready: ')
    second.process.kill('SIGTERM')
    expect([(await second.ended).status, await shardStates(dir)]).toEqual([0, allClean])
  })
})
