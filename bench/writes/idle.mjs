/** What a put adds to the disk: put and bare write + fdatasync take turns, each on an idle store, in one process. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'

const fileBytes = 4 * 2 ** 20

/** Rounds that only warm up: V8 compiles what an hour of a service has long had compiled. */
const warmingRounds = 1_500

/** Answers the times of `rounds` of both, in ms. The bare file is filled before, as the log's segments are. */
export const idle = async (store, { rounds, path }) => {
  const descriptor = openSync(path, 'w')
  const record = Buffer.alloc(512, 7)
  writeSync(descriptor, Buffer.alloc(fileBytes))
  fdatasyncSync(descriptor)
  const times = { put: [], bare: [] }
  for (let round = -warmingRounds; round < rounds; round++) {
    const began = performance.now()
    writeSync(
      descriptor,
      record,
      0,
      record.length,
      ((round + warmingRounds) * record.length) % fileBytes,
    )
    fdatasyncSync(descriptor)
    const middle = performance.now()
    await store.put(`idle:${Math.abs(round) % 1_000}`, Buffer.alloc(100, Math.abs(round)))
    const ended = performance.now()
    if (round < 0) continue
    times.bare.push(middle - began)
    times.put.push(ended - middle)
  }
  closeSync(descriptor)
  rmSync(path)
  return times
}
