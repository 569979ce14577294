/**
 * `keelson ingest` reports accepted and refused records by number, and its progress, however it
 * ends.
 */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('keelson ingest (needs the build)', () => {
  const records = Array.from({ length: 3_000 }, (_, at) => ({
    id: `k${at}`,
    n: at,
    text: 'ä"\\]}',
  }))
  /** The values of `k0`, `k1`, … in the folder that the command left. */
  const valuesIn = async (dir: string, count: number): Promise<unknown[]> => {
    const app = await start({ dir: join(dir, 'd') })
    const values = Array.from({ length: count }, (_, at) => app.store.get(`k${at}`))
    await app.close()
    return values
  }

  for (const [name, text] of [
    ['records.ndjson', records.map((record) => JSON.stringify(record)).join('\n')],
    ['records.json', JSON.stringify(records, undefined, 1)],
  ] as const)
    test(`puts every record of ${name}, and sums up`, async () => {
      const dir = tempFolder()
      write(dir, name, text)

      const { status, output } = await commandHere(
        ['ingest', name, '--dir', 'd', '--key', 'id'],
        dir,
      )

      expect(status).toBe(0)
      expect(output).toMatch(/^records {7}3,000$/m)
      expect(output).toMatch(/^acknowledged {2}3,000 \(durable\)$/m)
      expect(output).toContain(`(${Buffer.byteLength(text).toLocaleString('en-US')})`)
      expect(await valuesIn(dir, records.length)).toEqual(records)
    })

  test('reads standard input', async () => {
    const dir = tempFolder()
    const input = JSON.stringify(records.slice(0, 10))

    const words = ['ingest', '-', '--format', 'json', '--dir', 'd', '--key', 'n']
    const { status, output } = await runKeelson(words, dir, input)

    expect([status, /acknowledged {2}10 /.test(output)]).toEqual([0, true])
  })

  test('reports refused records by their numbers, keeps the others, and ends with status 1', async () => {
    const dir = tempFolder()
    write(dir, 'r.ndjson', '{"id":"a"}\n{"no":1}\n{"id":"c"}\nno json\n')

    const { status, output, errors } = await commandHere(
      ['ingest', 'r.ndjson', '--dir', 'd', '--key', 'id'],
      dir,
    )

    expect(status).toBe(1)
    expect(errors.match(/^INVALID_ARGUMENT: record \d+/gm)).toEqual([
      'INVALID_ARGUMENT: record 2',
      'INVALID_ARGUMENT: record 4',
    ])
    expect(output).toMatch(/^acknowledged {2}2 /m)
    expect(output).toMatch(/^refused {7}2$/m)
  })

  test('names the number of each record that the store refuses', async () => {
    const dir = tempFolder()
    write(dir, 'r.ndjson', `{"id":"a"}\n{"id":"${'k'.repeat(100_000)}"}\n{"id":""}\n`)

    const words = ['ingest', 'r.ndjson', '--dir', 'd', '--key', 'id']
    const { status, errors } = await commandHere(words, dir)

    expect([status, errors.match(/^[A-Z_]+: record \d/gm)]).toEqual([
      1,
      ['INVALID_ARGUMENT: record 2', 'INVALID_ARGUMENT: record 3'],
    ])
  })

  test('that is interrupted says how far it got, and that much is there', async () => {
    const dir = tempFolder()
    const command = startKeelson(['ingest', '-', '--dir', 'd', '--key', 'id'], dir)
    const lines = records.map(
      (record) => `${JSON.stringify({ ...record, more: 'x'.repeat(500) })}\n`,
    )
    await command.write(lines.join(''))

    command.process.kill('SIGINT')
    const { status, output, errors } = await command.ended

    const through = Number(/complete up to record ([\d,]+)/.exec(output)?.[1]?.replaceAll(',', ''))
    expect(status).toBe(130)
    expect(errors).toContain('SIGINT: ending in order')
    expect(through).toBeGreaterThan(0)
    expect(await valuesIn(dir, through)).toMatchObject(records.slice(0, through))
  })

  for (const [what, words] of [
    ['that is not there', ['ingest', 'no.json', '--dir', 'd', '--key', 'id']],
    ['that is a folder', ['ingest', 'folder', '--format', 'json', '--dir', 'd', '--key', 'id']],
  ] as const)
    test(`of a file ${what} is refused before the data folder is made`, async () => {
      const dir = tempFolder()
      mkdirSync(join(dir, 'folder'))

      const { status, errors } = await commandHere(words, dir)

      expect([status, codeIn(errors), readdirSync(dir)]).toEqual([
        1,
        'INVALID_ARGUMENT',
        ['folder'],
      ])
    })

  test('of a malformed array names the place, and keeps acknowledged records', async () => {
    const dir = tempFolder()
    write(dir, 'r.json', '[{"id":"a"},{"id":"b"} {"id":"c"}]')

    const { status, output, errors } = await commandHere(
      ['ingest', 'r.json', '--dir', 'd', '--key', 'id'],
      dir,
    )

    expect([status, codeIn(errors)]).toEqual([1, 'INVALID_ARGUMENT'])
    expect(errors).toContain('record: 3')
    expect(output).toContain('complete up to record 2')
  })
})
