/**
 * Appends by so many writers at once, each of which waits for its own before the next: through the log, through a store,
 * and by a loop that does nothing but write and sync groups of as many frames, over segments whose zero-filling counts too.
 */
import { fdatasyncSync, writeSync } from 'node:fs'
import { start } from 'keelson'
import { Wal } from 'keelson/wal'
import { closeSegment, makeSegment, places, segmentBytes } from './segment.mjs'

/** Of many writers one in so many is timed: reading the clock costs a good part of an append. */
const timedOf = (writers) => Math.ceil(writers / 64)

/** `write()` by so many writers until it is time. */
const byWriters = async (writers, until, write) => {
  const times = []
  let count = 0
  let isOver = false
  const timedWriter = async () => {
    for (let now = performance.now(); now < until; ) {
      await write()
      count++
      const done = performance.now()
      times.push(done - now)
      now = done
    }
    isOver = true
  }
  const writer = async () => {
    for (; !isOver; count++) await write()
  }
  const timed = timedOf(writers)
  const loops = Array.from({ length: writers }, (_, at) => (at % timed ? writer() : timedWriter()))
  await Promise.all(loops)
  return { count, times }
}

/** The log. */
export const log = {
  name: 'keelson/wal',
  open: async (dir) => {
    const wal = await Wal.open({ dir })
    return {
      turn: ({ writers, frame, until }) => byWriters(writers, until, () => wal.writeEntry(frame)),
      close: () => wal.close(),
    }
  },
}

/** A store: its log does as much, and each put is applied, and projected behind. */
export const store = {
  name: 'store.put',
  open: async (dir) => {
    const app = await start({ dir })
    let next = 0
    return {
      turn: ({ writers, frame, until }) =>
        byWriters(writers, until, () => app.store.put(`key:${next++ % 10_000}`, frame)),
      close: () => app.close(),
    }
  },
}

/** The loop. Each frame of a group took as long as the group. */
export const loop = {
  name: 'bare loop',
  open: async (dir) => {
    const path = `${dir}.bare`
    let descriptor = makeSegment(path)
    let place = places()
    let written = 0
    const commit = (group) => {
      if (written + group.length > segmentBytes) {
        closeSegment(descriptor)
        descriptor = makeSegment(path)
        place = places()
        written = 0
      }
      writeSync(descriptor, group, 0, group.length, place(group.length))
      fdatasyncSync(descriptor)
      written += Math.ceil(group.length / 512) * 512
    }
    return {
      async turn({ writers, frame, until }) {
        const times = []
        const group = Buffer.concat(Array.from({ length: writers }, () => frame))
        for (let now = performance.now(); now < until; ) {
          commit(group)
          const done = performance.now()
          times.push(done - now)
          now = done
        }
        return { count: times.length * writers, times }
      },
      close: () => closeSegment(descriptor),
    }
  },
}
