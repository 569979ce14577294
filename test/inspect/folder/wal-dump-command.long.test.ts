/**
 * `keelson wal dump` as people run it: frames, damage, and readers that wait or go away (needs the
 * build).
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type App, start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { change, newFolder, segmentsIn, wal } from '../../support/commands/command-logs.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** So many more frames like those of `newFolder`, with few syncs. */
const manyPuts = (count: number) => (store: App['store']) =>
  Promise.all(
    Array.from({ length: count }, (_, i) => store.put(`m${i}`, { i, text: 'x'.repeat(2000) })),
  )

describe('keelson wal dump', () => {
  test('of a folder without a log is refused with NO_SEGMENTS and status 1', async () => {
    const dir = tempFolder()
    write(dir, 'notes/readme.txt', 'no log')

    const { status, output, errors } = await commandHere(['wal', 'dump', 'notes'], dir)

    expect([status, output, codeIn(errors)]).toEqual([1, '', 'NO_SEGMENTS'])
    expect(errors).toContain(`there is no log in ${dir}/notes`)
  })

  test('of a shard without a log says so, and goes on with the others', async () => {
    const dir = tempFolder()
    await (await start({ dir: join(dir, 'd'), shards: 2 })).close()
    for (const name of readdirSync(wal(dir))) rmSync(join(wal(dir), name), { recursive: true })

    const { status, output, errors } = await commandHere(['wal', 'dump', 'd'], dir)

    expect([status, codeIn(errors)]).toEqual([1, 'NO_SEGMENTS'])
    expect(output).toMatch(/shard 1 .*\n.*segment 1/)
  })

  test('from an LSN that the log has given back says so', async () => {
    const dir = tempFolder()
    const app = await start({ dir: join(dir, 'd'), wal: { maxFileSize: 131_072 } })
    await manyPuts(100)(app.store)
    await app.control.snapshot(0)
    await app.close()
    const dump = (...words: readonly string[]) =>
      commandHere(['wal', 'dump', 'd', '--from', '1', '--to', '1', ...words], dir)

    expect((await dump()).output).toMatch(/freed: the log begins with lsn \d\d, behind lsn 1\n/)
    expect(JSON.parse((await dump('--json')).output)).toMatchObject({ kind: 'given back', from: 1 })
  })

  test('prints frames with commands and keys, between the given LSNs', async () => {
    const dir = await newFolder(5, async (store) => {
      await store.put('t', 'plain text')
      await store.delete('k1')
    })

    const { status, output } = await commandHere(
      ['wal', 'dump', 'd', '--from', '5', '--to', '7'],
      dir,
    )

    expect(status).toBe(0)
    const lines = output.split('\n').filter((line) => line.includes('DATA'))
    expect(lines.map((line) => line.replace(/.*Z {2}/, ''))).toEqual([
      'put "k4"',
      'put "t"',
      'delete "k1"',
    ])
  })

  test('prints no value without --reveal', async () => {
    const dir = await newFolder(1, (store) => store.put('t', 'CANARY7'))
    const shown = async (...words: readonly string[]): Promise<string> =>
      (await commandHere(['wal', 'dump', 'd', ...words], dir)).output

    expect(await shown()).not.toMatch(/CANARY7|xxx/)
    expect(await shown('--json')).not.toMatch(/CANARY7|xxx/)
    expect(await shown('--json')).toContain('string of 7')
    expect(await shown('--json', '--reveal')).toContain('CANARY7')
  })

  test('as JSON gives one object a line, with values whole', async () => {
    const dir = await newFolder(2, (store) => store.put('m', new Map([[1, 2n]])))

    const { output } = await commandHere(['wal', 'dump', 'd', '--json', '--reveal'], dir)

    const records = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const frames = records.filter(({ type }) => type === 'DATA')
    expect(frames.map(({ lsn, units }) => [lsn, units[0].command, units[0].key])).toEqual([
      [1, 'put', 'k0'],
      [2, 'put', 'k1'],
      [3, 'put', 'm'],
    ])
    expect(frames[1].units[0].value).toEqual({
      tag: 'structured',
      value: { i: 1, text: 'x'.repeat(2000) },
    })
    expect(frames[2].units[0].value).toEqual({ tag: 'structured', base64: expect.any(String) })
    expect(records.at(-1).type).toBe('CLEAN_CLOSE')
  })

  test('shows damage where it is, and goes on behind it', async () => {
    const dir = await newFolder(5)
    change(segmentsIn(wal(dir))[0] ?? '', 4096 + 3000, Buffer.from('!'))

    const { status, output } = await commandHere(['wal', 'dump', 'd', '--json'], dir)

    const kinds = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(status).toBe(0)
    expect(kinds.slice(1, 6).map(({ kind, lsn }) => [kind, lsn])).toEqual([
      ['frame', 1],
      ['damage', 2],
      ['frame', 3],
      ['frame', 4],
      ['frame', 5],
    ])
  })

  test('ends in silence when its reader goes away', async () => {
    const dir = await newFolder(5, manyPuts(200))
    const command = startKeelson(['wal', 'dump', 'd', '--json'], dir)
    command.process.stdout?.once('data', () => command.process.stdout?.destroy())

    const { status, errors } = await command.ended

    expect([status, errors]).toEqual([0, ''])
  })
})

describe('keelson wal dump to a reader that waits', () => {
  test('waits too, and hears a signal meanwhile', async () => {
    // More than pipes and streams on both sides hold, wherever the reader stops.
    const dir = await newFolder(5, manyPuts(700))
    const command = startKeelson(['wal', 'dump', 'd', '--json'], dir)
    const { stdout } = command.process
    await new Promise<void>((resolve) => {
      stdout?.once('data', () => {
        stdout.pause()
        resolve()
      })
    })

    command.process.kill('SIGINT')
    await command.says('SIGINT: ending in order', 'errors')
    stdout?.resume()
    const { status, output } = await command.ended

    expect(status).toBe(130)
    expect(output).not.toContain('CLEAN_CLOSE')
  })
})
