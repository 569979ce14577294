/** The thread's side of the paths that have one. */
import { fdatasyncSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { makeSegment, places } from './segment.mjs'

const { path, way, shared, state } = workerData
const descriptor = makeSegment(path)
const place = places()

const commit = (bytes) => {
  writeSync(descriptor, bytes, 0, bytes.length, place(bytes.length))
  fdatasyncSync(descriptor)
}

const serveRing = () => {
  const words = new Int32Array(state)
  const bytes = new Uint8Array(shared)
  for (let seen = 0; ; seen++) {
    Atomics.wait(words, 0, seen)
    commit(bytes.subarray(words[2], words[2] + words[3]))
    Atomics.add(words, 1, 1)
    Atomics.notify(words, 1)
  }
}

parentPort.postMessage('ready')
if (way === 'ring') serveRing()
else
  parentPort.on('message', (bytes) => {
    commit(bytes)
    parentPort.postMessage(bytes.length)
  })
