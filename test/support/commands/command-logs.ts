/** Data folders of the built package, and ways to look at and damage their logs. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type App, start } from 'keelson'
import {
  type LogFloor,
  nodeDisk,
  raiseFloor,
  readDataFolder,
  shardFolder,
} from '../../../src/storage/index.ts'
import { folderMadeOnce, tempFolder } from '../temp-folder.ts'
import { commandHere } from './command-here.ts'
import { runKeelson } from './keelson-command.ts'

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

/** The value of key `k${i}`. */
const bigValue = (i: number) => ({ i, text: 'x'.repeat(2000) })

/** A data folder `d` with `count` keys, `k0` and on, one frame each, over several segments. `more` writes its last frames. */
export const newFolder = async (
  count: number,
  more: (store: App['store']) => Promise<unknown> = () => Promise.resolve(),
): Promise<string> => {
  const dir = tempFolder()
  await make(dir, count, more)
  return dir
}

/** The folder of `newFolder`, made once for the tests around the call; each call of the answer copies it. */
export const copiesOf = (count: number): (() => string) =>
  folderMadeOnce((dir) => make(dir, count, () => Promise.resolve()))

const make = async (
  dir: string,
  count: number,
  more: (store: App['store']) => Promise<unknown>,
): Promise<void> => {
  writeFileSync(join(dir, 'keelson.config.json'), configuration)
  const app = await start({ dir: join(dir, 'd'), ...JSON.parse(configuration) })
  await Promise.all(Array.from({ length: count }, (_, i) => app.store.put(`k${i}`, bigValue(i))))
  await more(app.store)
  await app.close()
}

/** The same folder, left by a process that was killed: it holds nothing but what was acknowledged. */
export const killedFolder = async (count: number): Promise<string> => {
  const dir = tempFolder()
  writeFileSync(join(dir, 'keelson.config.json'), configuration)
  const put = `for (let i = 0; i < ${count}; i++) await store.put('k' + i, (${bigValue})(i))`
  const kill = "process.kill(process.pid, 'SIGKILL')"
  await runKeelson(['start', '--dir', 'd'], dir, `${put}\n${kill}`)
  return dir
}

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

/** What `keelson doctor` says of the logs in a folder, with its status. */
export const judged = async (dir: string, folder = 'd') => {
  const { status, output, errors } = await commandHere(['doctor', folder, '--json'], dir)
  return { status, errors, ...(output ? JSON.parse(output) : {}) }
}

/** Says in the shards of a data folder that each of its logs had this extent. */
export const setFloors = (dir: string, floor: LogFloor): void => {
  const reading = readDataFolder(nodeDisk(), dir)
  if (reading.state !== 'sound') throw new Error(reading.state)
  reading.facts.logs.forEach((walId, shard) => {
    const path = shardFolder(dir, shard).floor
    nodeDisk().remove(path)
    raiseFloor(nodeDisk(), path, { walId, ...floor })
  })
}
