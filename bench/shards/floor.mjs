/**
 * A bare floor for many shards: a thread for each file, which writes a block and syncs it, again and again. `floorOf` is its host.
 */
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const blockBytes = 4_096
const fileBytes = 1_024 * blockBytes

/** Starts the threads. `turn` answers the syncs until a moment in ms since 1970. */
export const floorOf = (dir, files) => {
  const entry = new URL(import.meta.url)
  const workers = Array.from(
    { length: files },
    (_, at) => new Worker(entry, { workerData: join(dir, `floor-${at}`) }),
  )
  const syncsOf = (worker, until) =>
    new Promise((done) => {
      worker.once('message', done)
      worker.postMessage(until)
    })
  return {
    async turn(until) {
      const counts = await Promise.all(workers.map((worker) => syncsOf(worker, until)))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    close: () => Promise.all(workers.map((worker) => worker.terminate())),
  }
}

if (!isMainThread) {
  const file = openSync(workerData, 'w')
  const block = Buffer.alloc(blockBytes, 7)
  // Written over later, as the segments of a log are.
  for (let at = 0; at < fileBytes; at += blockBytes) writeSync(file, block, 0, blockBytes, at)
  fdatasyncSync(file)
  let next = 0
  parentPort.on('message', (until) => {
    let syncs = 0
    for (; Date.now() < until; syncs++) {
      writeSync(file, block, 0, blockBytes, next)
      fdatasyncSync(file)
      next = (next + blockBytes) % fileBytes
    }
    parentPort.postMessage(syncs)
  })
}
