/**
 * A folder that the command cannot open is refused with the code that says why, and left as it is.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('a folder that cannot be opened (needs the build)', () => {
  test('because another process holds it: LOCKED_DIR, and the holder continues', async () => {
    const dir = tempFolder()
    const holder = startKeelson(['start'], dir)
    await holder.write('1\n')
    await holder.says('1')

    const { status, errors } = await commandHere(['start'], dir, { input: '1' })
    expect([status, codeIn(errors)]).toEqual([1, 'LOCKED_DIR'])
    expect(errors).toContain(`pid: ${holder.process.pid}`)

    await holder.write("await store.put('a', 1)\n")
    holder.process.stdin?.end()
    expect((await holder.ended).status).toBe(0)
  })

  test('because a newer version made it: UNSUPPORTED_VERSION, and it is left as it is', async () => {
    const dir = tempFolder()
    await (await start({ dir: join(dir, 'd') })).close()
    const file = join(dir, 'd/keelson.json')
    const newer = asNewer(readFileSync(file, 'utf8'))
    writeFileSync(file, newer)

    for (const words of [
      ['start', '--dir', 'd'],
      ['start', '--dir', 'd', '--no-app'],
    ]) {
      const { status, errors } = await commandHere(words, dir)
      expect([status, codeIn(errors)]).toEqual([1, 'UNSUPPORTED_VERSION'])
    }
    expect(readFileSync(file, 'utf8')).toBe(newer)
  })

  test('because it may not be written: READ_ONLY', async () => {
    const dir = tempFolder()
    // The superuser may write everywhere except on a read-only file system.
    const target = process.getuid?.() === 0 ? '/sys/keelson' : join(dir, 'd')
    chmodSync(dir, 0o500)

    const { status, errors } = await commandHere(['start', '--dir', target], process.cwd())

    expect([status, codeIn(errors)]).toEqual([1, 'READ_ONLY'])
    expect(readdirSync(dir)).toEqual([])
  })

  test('because the present folder is gone: CONFIG, without a stack', async () => {
    const dir = tempFolder()
    const gone = join(dir, 'gone')
    mkdirSync(gone)
    const command = startKeelson(['start'], gone)
    // It stands in the folder as soon as it is spawned, and asks for its path much later.
    rmdirSync(gone)

    const { status, errors } = await command.ended

    expect([status, codeIn(errors), /^\s+at /m.test(errors)]).toEqual([78, 'CONFIG', false])
  })

  test('because it is a file: CONFIG', async () => {
    const dir = tempFolder()
    write(dir, 'd', 'mine')

    const { status, errors } = await commandHere(['start', '--dir', 'd'], dir)

    expect([status, codeIn(errors), readFileSync(join(dir, 'd'), 'utf8')]).toEqual([
      78,
      'CONFIG',
      'mine',
    ])
  })
})

/**
 * The text of `keelson.json` as a later version would write it: a higher format under a checksum
 * that holds.
 */
function asNewer(text: string): string {
  const { crc: _, ...fields } = JSON.parse(text)
  fields.format++
  const sorted = Object.keys(fields)
    .sort()
    .map((key) => [key, fields[key]])
  const crc = crc32(Buffer.from(JSON.stringify(sorted)))
  return JSON.stringify({ ...fields, crc: crc.toString(16).padStart(8, '0') })
}
