/** What the memory of this process consists of. Only Linux says it; elsewhere each part is left out. */
import { readFileSync } from 'node:fs'
import { getHeapCodeStatistics, getHeapStatistics } from 'node:v8'

const kB = 1_024
/** A further arena of glibc begins at a multiple of this; no mapping of V8 does. */
const arenaBytes = 64n * 2n ** 20n

const textOf = (file) => {
  try {
    return readFileSync(`/proc/self/${file}`, 'latin1')
  } catch {
    return ''
  }
}

const bytesOf = (text, name) => {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)
  return found ? Number(found[1]) * kB : undefined
}

const mapping = /^([0-9a-f]+)-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/
const resident = /^Rss: +(\d+) kB/

/** What is resident of the allocator of the C library: its heap and its arenas; and how many arenas there are. */
const allocated = () => {
  let [bytes, arenas, isCounted] = [0, 0, false]
  for (const line of textOf('smaps').split('\n')) {
    const [, from, name] = mapping.exec(line) ?? []
    if (from !== undefined) {
      const isArena = name === '' && BigInt(`0x${from}`) % arenaBytes === 0n
      isCounted = isArena || name === '[heap]'
      if (isArena) arenas++
    } else if (isCounted) bytes += kB * Number(resident.exec(line)?.[1] ?? 0)
  }
  return bytes > 0 ? { malloc: bytes, arenas } : {}
}

/**
 * `anonymous` is the memory of the process itself, `mapped` that of the files that it has mapped, which the system takes back
 * when it needs it. `heapTotal` has the empty parts of the heap's pages too, and `code` is what compiled code takes of it.
 */
export const processMemory = () => {
  const status = textOf('status')
  const { total_heap_size: heapTotal, malloced_memory: malloced } = getHeapStatistics()
  const { code_and_metadata_size: machine, bytecode_and_metadata_size: bytecode } =
    getHeapCodeStatistics()
  return {
    ...{ anonymous: bytesOf(status, 'RssAnon'), mapped: bytesOf(status, 'RssFile') },
    ...{ heapTotal, malloced, code: machine + bytecode },
    ...allocated(),
  }
}
