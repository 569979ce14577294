/** `keelson backup` and `keelson restore` on real folders (needs the build). */
import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StartOptions, start } from 'keelson'
import { expect, test, vi } from 'vitest'
import { openedFolder } from '../../../src/inspect/folder/backup-command.ts'
import { parseBackup, parseRestore } from '../../../src/inspect/folder/backup-command-line.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeOf } from '../../support/error-codes.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { sampled } from '../../support/tier.ts'

// What a command of the sources opens is of the build, too: only it has threads.
vi.mock('../../../src/supervisors/index.ts', async (original) => ({
  ...(await original<object>()),
  start: (options: StartOptions) => start(options),
}))

const large = Buffer.alloc(400_000, 7)

test('a folder that is backed up and restored has its rows, its blobs and logs with new ids', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), shards: 2 })
  await Promise.all(Array.from({ length: 20 }, (_, at) => app.store.put(`k${at}`, { at })))
  await app.store.put('blob', large)
  await app.control.snapshotAll()
  const held = await commandHere(['backup', 'd', '--to', 'b'], dir)
  const opened = await commandHere(['open', 'd', '--at', '5'], dir)
  await app.store.put('k1', 'later')
  const online = await app.backup(join(dir, 'online'), { consistent: true })
  await app.close()
  expect(held).toMatchObject({ status: 1 })
  expect(held.errors).toMatch(/LOCKED_DIR: .*context\.app\.backup\(dir\)/)
  // Refused before the folder is opened, which would be LOCKED_DIR, and copied.
  expect(opened.errors).toMatch(/INVALID_ARGUMENT: each shard counts its own lsn/)

  const made = await commandHere(['backup', 'd', '--to', 'b', '--json'], dir)
  const again = await commandHere(['backup', 'd', '--to', 'b', '--json'], dir)
  const restored = await commandHere(['restore', 'b', '--to', 'r', '--json'], dir)

  expect([made, again, restored].map(({ status }) => status)).toEqual([0, 0, 0])
  expect(online.shards.map(({ missing }) => missing)).toEqual([[], []])
  const ids = JSON.parse(made.output).shards.map(({ walId }: { walId: string }) => walId)
  const own = JSON.parse(restored.output).shards.map(({ walId }: { walId: string }) => walId)
  expect(own).not.toEqual(ids)
  const back = await start({ dir: join(dir, 'r'), app: false })
  expect(back.store.get('k1')).toBe('later')
  expect(back.store.get('k19')).toEqual({ at: 19 })
  expect(Buffer.compare(Buffer.from((await back.store.load('blob')) as Uint8Array), large)).toBe(0)
  await back.store.put('k2', 'new')
  await back.close()

  const over = await commandHere(['restore', 'b', '--to', 'r'], dir)
  expect(over.status).toBe(1)
  expect(over.errors).toContain('is not empty')
  // N7: the restored log goes on under its own id, and the origin refuses it.
  cpSync(join(dir, 'r/shard-0/wal'), join(dir, 'd/shard-0/wal'), { recursive: true })
  expect(await codeOfStart(join(dir, 'd'))).toBe('CORRUPT')
})

const codeOfStart = (dir: string): Promise<unknown> =>
  start({ dir }).then(
    () => 'ok',
    (error) => error.code,
  )

test('a folder that a command opens keeps its log, also when a snapshot is made', async () => {
  const dir = join(tempFolder(), 'd')
  const segments = () => readdirSync(join(dir, 'shard-0/wal')).filter((n) => n.endsWith('.wal'))
  const app = await start({ dir, wal: { maxFileSize: 128 * 1024 } })
  for (let at = 0; at < 8; at++) await app.store.put('k', Buffer.alloc(60_000, at))
  await app.close()
  const before = segments()
  expect(before.length).toBeGreaterThan(3)

  const opened = await openedFolder(dir)
  await opened.control.snapshotAll()
  await opened.close()

  expect(segments()).toEqual(expect.arrayContaining(before))
})

test('a backup is restored as of an LSN and as of a time', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd') })
  const { position } = await app.store.put('k', 'first')
  const between = Date.now() + 5
  while (Date.now() <= between) await app.store.put('other', Date.now())
  await app.store.put('k', 'second')
  await app.close()
  await commandHere(['backup', 'd', '--to', 'b'], dir)

  const moments = sampled([new Date(between).toISOString(), String(position.lsn)], 1)
  const late = await commandHere(['restore', 'b', '--to', 'x', '--at', '9999999'], dir)

  for (const [number, at] of moments.entries()) {
    const restored = await commandHere(['restore', 'b', '--to', `r${number}`, '--at', at], dir)
    expect(restored.status).toBe(0)
    const back = await start({ dir: join(dir, `r${number}`), app: false })
    expect(back.store.get('k')).toBe('first')
    await back.close()
  }
  expect(late.errors).toContain('the backup reaches from lsn')
  expect(readdirSync(dir)).not.toContain('x')
})

test('a restored folder waits for --acts or --no-app, also at the command', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd') })
  await app.store.put('k', 'value')
  await app.close()
  await commandHere(['backup', 'd', '--to', 'b'], dir)
  const restored = await commandHere(['restore', 'b', '--to', 'r'], dir)
  expect(restored.output).toContain('--acts')

  const refused = await commandHere(['start', '--dir', 'r'], dir)
  expect(refused.status).toBe(78)
  expect(refused.errors).toContain('CONFIG')
  for (const flag of ['--no-app', '--acts'] as const) {
    const looked = await commandHere(['start', '--dir', 'r', flag], dir, {
      input: "store.get('k')\n",
    })
    expect(looked.output).toContain("'value'")
    const { waits = false } = JSON.parse(readFileSync(join(dir, 'r/keelson.json'), 'utf8'))
    expect(waits).toBe(flag === '--no-app')
  }
  expect((await commandHere(['start', '--dir', 'r'], dir)).status).toBe(0)
})

test('a folder that waits is backed up, and waits', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd') })
  await app.store.put('k', 1)
  await app.close()
  for (const words of ['backup d --to b', 'restore b --to r', 'backup r --to b2', 'open r --at 1'])
    expect(await commandHere(words.split(' '), dir), words).toMatchObject({ status: 0 })
  expect(await codeOfStart(join(dir, 'r'))).toBe('CONFIG')
  expect((await commandHere(['restore', 'b2', '--to', 'r2'], dir)).status).toBe(0)
})

test('open gives the prompt on a folder and on a backup as of then, and leaves them as they were', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd') })
  const { position } = await app.store.put('k', 'first')
  await app.store.put('k', 'second')
  await app.close()
  await commandHere(['backup', 'd', '--to', 'b'], dir)
  const look = "store.get('k')\nawait store.put('k', 'third')\n"

  for (const name of sampled(['d', 'b'], 1)) {
    const words = ['open', name, '--at', String(position.lsn)]
    const { status, output } = await commandHere(words, dir, { input: look })
    expect(status).toBe(0)
    expect(output).toContain("'first'")
  }

  expect(readdirSync(dir).sort()).toEqual(['b', 'd'])
  const after = await start({ dir: join(dir, 'd') })
  expect(after.store.get('k')).toBe('second')
  await after.close()
  expect((await commandHere(['open', 'b', '--at', '99999'], dir)).status).toBe(1)
  expect(readdirSync(dir).sort()).toEqual(['b', 'd'])
})

test('open hides secrets, and shows them with --reveal', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd') })
  const { position } = await app.store.put('k', { user: 'ann', password: 'open sesame' })
  await app.close()
  const look = { input: "store.get('k')\n" }
  const words = ['open', 'd', '--at', String(position.lsn)]

  const hidden = await commandHere(words, dir, look)
  expect([hidden.status, hidden.output]).toEqual([0, expect.stringContaining("user: 'ann'")])
  expect(hidden.output + hidden.errors).not.toContain('open sesame')
  const shown = await commandHere([...words, '--reveal'], dir, look)
  expect([shown.status, shown.output]).toEqual([0, expect.stringContaining('open sesame')])
})

test('a backup with a file that is missing, cut off or changed is CORRUPT, or restored right', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), wal: { maxFileSize: 131_072 } })
  await app.store.put('blob', large)
  for (let at = 0; at < 30; at++) await app.store.put(`k${at % 5}`, `${at}`.repeat(4_000))
  await app.control.snapshot(0)
  await app.store.put('last', 1)
  await app.close()
  await commandHere(['backup', 'd', '--to', 'b'], dir)
  const files = readdirSync(join(dir, 'b'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'LOCK')
    .map(({ parentPath, name }) => join(parentPath, name))
  const harms = {
    half: (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1),
    change: (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === 200 ? ~byte : byte))),
    loss: () => undefined,
  }
  const cases = files.flatMap((file) =>
    Object.entries(harms).map((harm) => [file, ...harm] as const),
  )
  const refusals: string[] = []
  for (const [file, name, harm] of sampled(cases, 8)) {
    const whole = readFileSync(file)
    const harmed = harm(whole)
    if (harmed) writeFileSync(file, harmed)
    else rmSync(file)

    const { status, errors } = await commandHere(['restore', 'b', '--to', 'r'], dir)

    if (status === 0) {
      const back = await start({ dir: join(dir, 'r'), app: false })
      expect([back.store.get('last'), back.store.get('k4')]).toEqual([1, '29'.repeat(4_000)])
      await back.close()
      rmSync(join(dir, 'r'), { recursive: true })
    } else {
      const code = /[A-Z_]+(?=:)/.exec(errors)?.[0]
      const expected =
        file.endsWith('backup.json') && name === 'loss' ? 'INVALID_ARGUMENT' : 'CORRUPT'
      expect([file, name, code]).toEqual([file, name, expected])
      refusals.push(file)
    }
    expect(readdirSync(dir).sort()).toEqual(['b', 'd'])
    writeFileSync(file, whole)
  }
  expect(refusals.length).toBeGreaterThan(3)
})

test('a link to nothing is no folder to write to', async () => {
  const dir = tempFolder()
  await (await start({ dir: join(dir, 'd') })).close()
  symlinkSync(join(dir, 'nothing'), join(dir, 'link'))
  await commandHere(['backup', 'd', '--to', 'b'], dir)

  const restored = await commandHere(['restore', 'b', '--to', 'link'], dir)
  const made = await commandHere(['backup', 'd', '--to', 'link'], dir)

  expect(restored.errors).toContain('INVALID_ARGUMENT')
  expect(made.errors).toMatch(/CONFIG|INVALID_ARGUMENT/)
  expect(await codeOfStart(join(dir, 'link'))).toBe('CONFIG')
  expect(readdirSync(dir).sort()).toEqual(['b', 'd', 'link'])
})

test('what is no data folder, and no backup, is refused and left alone', async () => {
  const dir = tempFolder()
  writeFileSync(join(dir, 'file'), '')

  expect((await commandHere(['backup', 'd', '--to', 'b'], dir)).errors).toContain(
    'INVALID_ARGUMENT',
  )
  expect((await commandHere(['restore', 'd', '--to', 'r'], dir)).errors).toContain(
    'INVALID_ARGUMENT',
  )
  expect(readdirSync(dir)).toEqual(['file'])
})

test('the command lines are read', () => {
  const common = { dir: 'd', to: 'b', json: false, progress: false, verbose: false }
  expect(parseBackup(['d', '--to', 'b'])).toEqual({ kind: 'backup', ...common, consistent: false })
  expect(parseRestore(['d', '--to=b', '--at', '12'])).toMatchObject({ at: { lsn: 12 } })
  expect(parseRestore(['d', '--to=b', '--at', '2026-11-21T10:00:00Z'])).toMatchObject({
    at: { time: Date.UTC(2026, 10, 21, 10) },
  })
  const from = 'postgres://db/shop'
  expect(parseRestore(['--from', from, '--to', 'b', '--instance', 'i'])).toEqual({
    ...{ kind: 'restore replica', from, to: 'b', instance: 'i' },
    ...{ json: false, progress: false, verbose: false },
  })
  for (const words of [
    ['--from', from],
    ['--from', 'mysql://db', '--to', 'b'],
    ['d', '--from', from, '--to', 'b'],
    ['--from', from, '--to', 'b', '--at', '12'],
    ['d', '--to', 'b', '--instance', 'i'],
  ])
    expect(codeOf(() => parseRestore(words))).toBe('INVALID_ARGUMENT')
  for (const words of [[], ['d'], ['d', 'e', '--to', 'b'], ['d', '--to', 'b', '--at', 'noon']])
    expect(codeOf(() => parseRestore(words))).toBe('INVALID_ARGUMENT')
})
