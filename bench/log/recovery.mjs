/** Opening a log that was not closed, against reading its files. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Wal } from 'keelson/wal'

/** A process that writes `bytes` of frames of `frameBytes` into a log in `dir`, and is killed with the log open. */
export const fillAndKill = async (dir, bytes, frameBytes) => {
  const program = fileURLToPath(new URL('./fill.mjs', import.meta.url))
  const child = fork(program, [dir, String(bytes), String(frameBytes)])
  await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const files = (dir) =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .map((name) => `${dir}/${name}`)

/** Bytes of all segments. */
export const bytesOf = (dir) => files(dir).reduce((sum, file) => sum + statSync(file).size, 0)

/** Seconds to read every byte of every segment, a chunk at a time. */
export const readFiles = (dir) => {
  const chunk = Buffer.allocUnsafe(256 * 1024)
  const began = performance.now()
  for (const file of files(dir)) {
    const descriptor = openSync(file, 'r')
    while (readSync(descriptor, chunk, 0, chunk.length, null) > 0);
    closeSync(descriptor)
  }
  return (performance.now() - began) / 1_000
}

/** Seconds until the log is open, and until all its entries have been read and counted. */
export const openLog = async (dir) => {
  const began = performance.now()
  const wal = await Wal.open({ dir })
  const opened = (performance.now() - began) / 1_000
  let entries = 0
  for await (const _ of wal.readAll()) entries++
  const read = (performance.now() - began) / 1_000 - opened
  await wal.close()
  return { opened, read, entries }
}
