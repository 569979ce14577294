/**
 * A simulation leaves nothing behind: after its end nothing refers to its disk, its processes or its clock. Heap and
 * buffers are measured after full collections, so nothing depends on when Node collects.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BlobLife } from '../support/lives/blob-life.ts'
import { history, live } from '../support/lives/store-history.ts'
import { thorough } from '../support/tier.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What is reachable, in bytes. */
const reachable = async (): Promise<number> => {
  // A turn may still hold something, and the buffers of what was collected are freed beside the next collection.
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const [first, more, windows] = [thorough(20, 50), thorough(20, 100), 3]

/**
 * A history has a disk of 1 MiB and thousands of objects. Compiled code and tables that grew are left besides, at any
 * time and once. A leak grows in each window, so the smallest growth is judged.
 */
const bytesMax = 1024 * 1024

const places = (count: number) => fc.sample(history, { numRuns: count, seed: 7 })

const kinds: Record<string, (count: number) => Promise<void>> = {
  'of store commands': async (count) => {
    for (const [place, steps] of places(count)) await live(place, steps)
  },
  'of blobs': async (count) => {
    for (let seed = 1; seed <= count; seed++) await new BlobLife(seed).run(10)
  },
}

test.each(Object.entries(kinds))(
  `${windows} times ${more} histories %s leave the memory where it was`,
  async (_, run) => {
    await run(first)
    const growths: number[] = []
    for (let window = 0; window < windows; window++) {
      const before = await reachable()
      await run(more)
      growths.push((await reachable()) - before)
    }

    expect(Math.min(...growths), growths.join(', ')).toBeLessThan(bytesMax)
  },
  600_000,
)
