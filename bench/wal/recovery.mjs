/** Opening a log that was not closed and verifying it, against reading its files; and the memory that the opening takes. */
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Wal } from 'keelson/wal'

const programOf = (name) => fileURLToPath(new URL(name, import.meta.url))

/** A process that writes `bytes` of frames of `frameBytes` into a log in `dir`, and is killed with the log open. */
export const fillAndKill = async (dir, bytes, frameBytes) => {
  const child = fork(programOf('./fill.mjs'), [dir, String(bytes), String(frameBytes)])
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

/** Takes the segments out of the page cache; false where the tool for it is missing. */
const forget = (dir) =>
  files(dir).every((file) => {
    const options = ['oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']
    return spawnSync('dd', [`of=${file}`, ...options]).status === 0
  })

const seconds = async (work) => {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1_000
}

/** Reads every byte of every segment, a chunk at a time. */
const readFiles = (dir) => {
  const chunk = Buffer.allocUnsafe(256 * 1024)
  for (const file of files(dir)) {
    const descriptor = openSync(file, 'r')
    while (readSync(descriptor, chunk, 0, chunk.length, null) > 0);
    closeSync(descriptor)
  }
}

/**
 * Keeps what an opening changes, the MANIFEST and the newest segment, and answers how to bring the folder back to what it was:
 * a copy of the whole log would leave the disk busy.
 */
const kept = (dir) => {
  const before = readdirSync(dir)
  const newest = before
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .at(-1)
  const changing = ['MANIFEST', newest]
  for (const name of changing) copyFileSync(`${dir}/${name}`, `${dir}.${name}`)
  return () => {
    for (const name of readdirSync(dir))
      if (!before.includes(name)) rmSync(`${dir}/${name}`, { recursive: true })
    for (const name of changing) {
      copyFileSync(`${dir}.${name}`, `${dir}/${name}`)
      rmSync(`${dir}.${name}`)
    }
  }
}

/** Opens the log as the kill left it, answers the seconds for that and for reading all its entries, and leaves it as it was. */
const openOnce = async (dir, prepare) => {
  const rewind = kept(dir)
  prepare(dir)
  let wal
  const opening = await seconds(async () => {
    wal = await Wal.open({ dir })
  })
  let entries = 0
  const reading = await seconds(async () => {
    for await (const _ of wal.readAll()) entries++
  })
  await wal.close()
  rewind()
  return { opening, reading, entries }
}

/** One round over the log in `dir`, in seconds; `cold`: with the files out of the page cache first. */
export const round = async (dir, cold) => {
  const prepare = cold ? forget : readFiles
  prepare(dir)
  const files = await seconds(() => readFiles(dir))
  prepare(dir)
  let found
  const verify = await seconds(async () => {
    found = await Wal.verify(dir)
  })
  if (found.verdict === 'corrupt') throw new Error('the log that was filled is damaged')
  return { files, verify, ...(await openOnce(dir, prepare)) }
}

/** Whether files can be taken out of the page cache here. */
export const canForget = (dir) => forget(dir)

/** Opens the log in a process of its own; answers its greatest memory, in bytes, and the seconds. */
export const memoryOfOpening = async (dir) => {
  const child = fork(programOf('./open.mjs'), [dir])
  const [answer] = await once(child, 'message')
  await once(child, 'exit')
  return answer
}
