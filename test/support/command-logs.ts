/** Data folders that a command made, and ways to look at and damage their logs. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runKeelson } from './keelson-command.ts'
import { tempFolder } from './temp-folder.ts'

/** The log of a shard of the data folder `d` in `dir`. */
export const wal = (dir: string, shard = 0): string => join(dir, `d/shard-${shard}/wal`)

/** The segments in a folder, oldest first. */
export const segmentsIn = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .map((name) => join(dir, name))

/** Segments so small that a few frames fill several. */
export const configuration = JSON.stringify({ wal: { maxFileSize: 131_072 } })

/** A data folder `d` with `count` keys, `k0` and on, one frame each, over several segments. `end` is its last line. */
export const newFolder = async (count: number, end = ''): Promise<string> => {
  const dir = tempFolder()
  writeFileSync(join(dir, 'keelson.config.json'), configuration)
  const put = `for (let i = 0; i < ${count}; i++) await store.put('k' + i, { i, text: 'x'.repeat(2000) })`
  await runKeelson(['start', '--dir', 'd'], dir, `${put}\n${end}`)
  return dir
}

/** A line that ends the instance as a crash does, with nothing but what was acknowledged. */
export const killed = "process.kill(process.pid, 'SIGKILL')"

/** Overwrites bytes of a file. */
export const change = (path: string, offset: number, bytes: Uint8Array): void => {
  const file = readFileSync(path)
  file.set(bytes, offset)
  writeFileSync(path, file)
}

/** Names, sizes and contents of all that is in a folder, but for locks. */
export const everythingIn = (dir: string): string =>
  JSON.stringify(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path, statSync(path).mtimeMs, readFileSync(path, 'base64')]),
  )

/** What `keelson wal verify` says of a folder, with its status. */
export const verified = async (dir: string, folder = 'd') => {
  const { status, output, errors } = await runKeelson(['wal', 'verify', folder, '--json'], dir)
  return { status, errors, ...(output ? JSON.parse(output) : {}) }
}
