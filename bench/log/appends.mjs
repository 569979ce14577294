/**
 * Appends by so many writers at once, each of which waits for its own before the next: through the log, and by a loop that
 * does nothing but write and sync groups of as many frames, over segments whose zero-filling counts as well.
 */
import { fdatasyncSync, writeSync } from 'node:fs'
import { Wal } from 'keelson/wal'
import { closeSegment, makeSegment, places, segmentBytes } from './segment.mjs'

/** The log: opens it in `dir`. `turn` answers how long each append took, in ms. */
export const log = {
  name: 'keelson/wal',
  open: async (dir) => {
    const wal = await Wal.open({ dir })
    return {
      async turn({ writers, frame, until }) {
        const times = []
        const writer = async () => {
          while (performance.now() < until) {
            const began = performance.now()
            await wal.writeEntry(frame)
            times.push(performance.now() - began)
          }
        }
        await Promise.all(Array.from({ length: writers }, writer))
        return times
      },
      close: () => wal.close(),
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
    return {
      async turn({ writers, frame, until }) {
        const times = []
        const group = Buffer.concat(Array.from({ length: writers }, () => frame))
        while (performance.now() < until) {
          const began = performance.now()
          if (written + group.length > segmentBytes) {
            closeSegment(descriptor)
            descriptor = makeSegment(path)
            place = places()
            written = 0
          }
          writeSync(descriptor, group, 0, group.length, place(group.length))
          fdatasyncSync(descriptor)
          written += Math.ceil(group.length / 512) * 512
          const took = performance.now() - began
          for (let at = 0; at < writers; at++) times.push(took)
        }
        return times
      },
      close: () => closeSegment(descriptor),
    }
  },
}
