/** What a put adds to the disk: put and bare write + fdatasync take turns, each on an idle store, in one process. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'

const fileBytes = 4 * 2 ** 20

/** Answers the times of `rounds` of both, in ms. The bare file is filled before, as the log's segments are. */
export const idle = async (store, { rounds, path }) => {
  const descriptor = openSync(path, 'w')
  const record = Buffer.alloc(512, 7)
  writeSync(descriptor, Buffer.alloc(fileBytes))
  fdatasyncSync(descriptor)
  const times = { put: [], bare: [] }
  for (let round = 0; round < rounds; round++) {
    const began = performance.now()
    writeSync(descriptor, record, 0, record.length, (round * record.length) % fileBytes)
    fdatasyncSync(descriptor)
    const middle = performance.now()
    await store.put(`idle:${round % 1_000}`, Buffer.alloc(100, round))
    times.bare.push(middle - began)
    times.put.push(performance.now() - middle)
  }
  closeSync(descriptor)
  rmSync(path)
  return times
}
