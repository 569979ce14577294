/**
 * The ways in which a group of frames can come from the main thread to a synced disk, without anything else of a log: each
 * gathers the frames, writes them at their place in a prepared file, and has them synced. `open(path)` answers `{ commit,
 * close }`; `commit(frames)` resolves when the sync has returned.
 */
import { fdatasyncSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { closeSegment, makeSegment, places } from './segment.mjs'

const joined = (frames, into = new Uint8Array(frames.length * frames[0].length)) => {
  let at = 0
  for (const frame of frames) {
    into.set(frame, at)
    at += frame.length
  }
  return into
}

const startWorker = (data) =>
  new Promise((resolve) => {
    const worker = new Worker(new URL('./path-worker.mjs', import.meta.url), { workerData: data })
    worker.once('message', () => resolve(worker))
  })

/** No thread at all: what the disk takes. The main thread stands still meanwhile. */
const bare = {
  name: 'bare write + fdatasync, blocking',
  open: async (path) => {
    const descriptor = makeSegment(path)
    const place = places()
    return {
      async commit(frames) {
        const bytes = joined(frames)
        writeSync(descriptor, bytes, 0, bytes.length, place(bytes.length))
        fdatasyncSync(descriptor)
      },
      close: () => closeSegment(descriptor),
    }
  },
}

/** A thread; the bytes are given to it in a message. The log does this. */
export const message = {
  name: 'thread, message + transfer',
  open: async (path) => {
    const worker = await startWorker({ path, way: 'message' })
    let answered
    worker.on('message', () => answered())
    return {
      commit: (frames) =>
        new Promise((resolve) => {
          answered = resolve
          const bytes = joined(frames)
          worker.postMessage(bytes, [bytes.buffer])
        }),
      close: () => worker.terminate(),
    }
  },
}

/** A thread; the bytes lie in shared memory, and both sides wake each other by `Atomics`. */
const ring = {
  name: 'thread, shared ring + Atomics',
  open: async (path) => {
    const shared = new SharedArrayBuffer(4 * 2 ** 20)
    const state = new Int32Array(new SharedArrayBuffer(16))
    const bytes = new Uint8Array(shared)
    const worker = await startWorker({ path, way: 'ring', shared, state: state.buffer })
    let next = 0
    return {
      async commit(frames) {
        const length = frames.length * frames[0].length
        // A group never wraps: what does not fit before the end begins at the start again.
        if (next + length > bytes.length) next = 0
        joined(frames, bytes.subarray(next, next + length))
        state[2] = next
        state[3] = length
        next += length
        const before = Atomics.load(state, 1)
        Atomics.add(state, 0, 1)
        Atomics.notify(state, 0)
        const waiting = Atomics.waitAsync(state, 1, before)
        if (waiting.async) await waiting.value
      },
      close: () => worker.terminate(),
    }
  },
}

/** No thread of our own: libuv's pool does the write, and then the sync. */
const pool = {
  name: 'libuv pool, two calls',
  open: async (path) => {
    closeSegment(makeSegment(path))
    const file = await open(path, 'r+')
    const place = places()
    return {
      async commit(frames) {
        const bytes = joined(frames)
        await file.write(bytes, 0, bytes.length, place(bytes.length))
        await file.datasync()
      },
      close: () => file.close(),
    }
  },
}

/** All of them. */
export const paths = [bare, message, ring, pool]
