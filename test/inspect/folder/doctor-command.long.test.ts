/** `keelson doctor` as a command: its signals, and folders that are not for it (needs the build). */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { makeFolder } from '../../support/commands/doctor-folder.ts'
import { folderMadeOnce } from '../../support/temp-folder.ts'

const copied = folderMadeOnce(makeFolder)

test('a signal ends it with its status, and leaves nothing beside the folder', async () => {
  const dir = copied()
  const interrupted = (listener: (signal: 'SIGINT') => void) => {
    setImmediate(() => listener('SIGINT'))
    return () => undefined
  }

  const { status } = await commandHere(['doctor', 'd', '--deep'], dir, { onSignal: interrupted })

  expect([status, readdirSync(dir)]).toEqual([130, ['d']])
})

test('what is neither a data folder nor a log is refused, with the command that is for it', async () => {
  const dir = copied()
  const app = await start({ dir: join(dir, 'd') })
  await app.backup(join(dir, 'b'))
  await app.close()
  mkdirSync(join(dir, 'empty'))

  const told = async (folder: string) => (await commandHere(['doctor', folder], dir)).errors

  expect(await told('b')).toMatch(/^INVALID_ARGUMENT: .*keelson restore/)
  expect(await told('empty')).toMatch(/^INVALID_ARGUMENT: .*is no data folder/)
  expect(await told('nowhere')).toMatch(/^INVALID_ARGUMENT: .*does not exist/)
  expect((await commandHere(['doctor'], dir)).status).toBe(2)
})
