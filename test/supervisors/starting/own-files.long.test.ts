/** Whose the files of an instance are, and what a planted link can do (needs the build). */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type App, isKeelsonError, start } from 'keelson'
import { expect, onTestFinished, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const withUmask = (mask: number): void => {
  const before = process.umask(mask)
  onTestFinished(() => void process.umask(before))
}

/** Whatever is below `dir`, with its mode, and `dir` itself. */
const modesIn = (dir: string): string[] =>
  ['', ...(readdirSync(dir, { recursive: true }) as string[])].sort().map((path) => {
    const { mode } = lstatSync(join(dir, path))
    return `${(mode & 0o777).toString(8)} ${path}`
  })

const othersMayUse = (line: string): boolean => !/^[67]00 /.test(line)

/** Fills a folder with files of all kinds. Answers the last LSN and what `look` answers while it is open. */
const fill = async <T>(dir: string, look: (app: App) => Promise<T> | T) => {
  const app = await start({ dir, attach: true, wal: { commitments: true } })
  try {
    await app.store.put('card', { password: 'hunter2' })
    await app.store.put('scan', new Uint8Array(300_000))
    const { lsn } = await app.journal.append({ id: 'a', type: 'order', command: { qty: 1 } })
    await app.control.snapshot(0)
    await app.control.flushAll()
    return { lsn, seen: await look(app) }
  } finally {
    await app.close()
  }
}

test('whatever an instance, a backup, a restore and a proof make is for its own user only', async () => {
  const dir = tempFolder()
  const [data, copy, back, proof] = ['a/data', 'b/copy', 'c/back', 'p.json'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string]
  withUmask(0)

  const { lsn, seen: whileOpen } = await fill(data, async (app) => {
    await app.backup(copy)
    return modesIn(data)
  })
  const commands = [
    await commandHere(['restore', copy, '--to', back], dir),
    await commandHere(['journal', 'prove', data, '--lsn', String(lsn), '--out', proof], dir),
  ]

  expect(commands.map(({ errors }) => errors)).toEqual(['', ''])
  expect(whileOpen.join()).toMatch(/attach\.sock.*keelson\.json.*lmdb.*lock\.mdb/s)
  expect(whileOpen.filter(othersMayUse)).toEqual([])
  expect(modesIn(dir).filter(othersMayUse)).toEqual([])
})

test('a folder that exists keeps its mode', async () => {
  const dir = tempFolder()
  mkdirSync(join(dir, 'd'), { mode: 0o755 })

  await (await start({ dir: join(dir, 'd') })).close()

  expect(statSync(join(dir, 'd')).mode & 0o777).toBe(0o755)
})

test('no name that an instance writes leads it through a link to another file', async () => {
  const dir = tempFolder()
  await fill(join(dir, 'd'), () => undefined)
  const files = (readdirSync(join(dir, 'd'), { recursive: true }) as string[]).filter((path) =>
    statSync(join(dir, 'd', path)).isFile(),
  )

  const changed = []
  for (const [at, path] of files.entries()) {
    const [planted, victim] = [join(dir, `${at}`), join(dir, `${at}.victim`)]
    mkdirSync(dirname(join(planted, path)), { recursive: true })
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(planted, path))
    const refused = await fill(planted, () => undefined).catch((error: unknown) => error)
    if (refused instanceof Error) expect(isKeelsonError(refused)).toBe(true)
    if (readFileSync(victim, 'utf8') !== 'precious') changed.push(path)
  }

  expect(files).toContain('LOCK')
  expect(changed).toEqual([])
})
