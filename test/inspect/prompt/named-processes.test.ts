/** How a process may be named at the prompt. */
import { describe, expect, test } from 'vitest'
import { session } from '../../support/worlds/prompted-instance.ts'

describe('a process may be named', () => {
  for (const word of [
    'wal_writer(0)',
    "'wal_writer(0)'",
    '(await ps()).text && app.system.whereis("wal_writer(0)")',
    'app.system.whereis("wal_writer(0)").pid',
    "'<' + app.system.whereis('wal_writer(0)').pid + '>'",
    'app.system.processes().find(({ name }) => name === "wal_writer(0)")',
  ])
    test(`as ${word}`, async () => {
      const { ask } = await session()

      expect(await ask(`info(${word})`)).toMatch(/^name {10}wal_writer\(0\)\n/)
    })

  test('as control, the handle', async () => {
    const { ask } = await session()

    expect(await ask('info(control)')).toMatch(/^name {10}control\n/)
  })

  test('as itself, when it is of the user and its name is a word', async () => {
    const { ask } = await session()

    expect(await ask('info(counter)')).toMatch(/^name {10}counter\n/)
    expect(await ask('kill(counter)', 'info(counter)')).toContain('name          counter\n')
  })

  test('in vain: NO_PROCESS for a missing process, INVALID_ARGUMENT for a value that is not one', async () => {
    const { ask } = await session()

    expect(await ask('info(wal_writer(7))')).toMatch(/^NO_PROCESS: .*wal_writer\(7\)/)
    expect(await ask('kill(99)')).toMatch(/^NO_PROCESS/)
    expect(await ask('kill({})')).toMatch(/^INVALID_ARGUMENT/)
    expect(await ask('state()')).toMatch(/^INVALID_ARGUMENT/)
  })

  test('in a loop, where nobody awaits: the line fails, and no rejection is left', async () => {
    const { ask } = await session()

    for (const word of ['kill', 'suspend', 'resume'])
      expect(await ask(`for (const pid of [98, 99]) ${word}(pid)`)).toMatch(/^NO_PROCESS: .* 98;/)
  })
})
