/**
 * What is written, by number: the same for every contender. Operation `i` has a key, a value and a kind that follow from `i`, so
 * that anybody can say afterwards what a key has to hold. Keys repeat only after far more operations than are in flight.
 */
const valueBytes = 100
const blobBytes = 2 ** 20
/** Entries of one `putMany`. */
export const manySize = 16

const valueFor = (number, length) => {
  // From Node's pool: to make memory of its own would cost more than some contender's put.
  const value = Buffer.allocUnsafe(length).fill(7)
  value.writeUInt32LE(number)
  return value
}

const keyOf = (prefix, keys, number) => `${prefix}:${number % keys}`

/** A case whose operations are all puts. */
const puts = ({ prefix, keys, length, size = 1 }) => ({
  prefix,
  keys,
  size,
  run: (store, call) => {
    if (size === 1) return store.put(keyOf(prefix, keys, call), valueFor(call, length))
    const entries = []
    for (let number = call * size; number < (call + 1) * size; number++)
      entries.push([keyOf(prefix, keys, number), valueFor(number, length)])
    return store.putMany(entries)
  },
  expected: (number) => valueFor(number, length),
})

/** Of five operations three are puts, one removes its key, one puts only where there is nothing. */
const mixed = (prefix, keys) => {
  const kindOf = (number) => (number + Math.floor(number / keys)) % 5
  return {
    prefix,
    keys,
    size: 1,
    run: (store, number) => {
      const key = keyOf(prefix, keys, number)
      const kind = kindOf(number)
      if (kind === 3) return store.remove(key)
      const value = valueFor(number, valueBytes)
      return kind === 4 ? store.putNew(key, value) : store.put(key, value)
    },
    expected: (last) => {
      let value
      for (let number = last % keys; number <= last; number += keys) {
        const kind = kindOf(number)
        if (kind === 3) value = undefined
        else if (kind !== 4 || value === undefined) value = valueFor(number, valueBytes)
      }
      return value
    },
  }
}

/** The cases; `inFlight`: how many calls wait at a time. 1,024 blobs in flight would be a gigabyte, which measures memory. */
export const works = {
  puts: { ...puts({ prefix: 'put', keys: 100_000, length: valueBytes }), inFlight: [1, 64, 1_024] },
  putMany: {
    ...puts({ prefix: 'many', keys: 100_000, length: valueBytes, size: manySize }),
    inFlight: [1, 64, 1_024],
  },
  mixed: { ...mixed('mixed', 100_000), inFlight: [1, 64, 1_024] },
  blobs: { ...puts({ prefix: 'blob', keys: 128, length: blobBytes }), inFlight: [1, 64] },
}

/** 100 bytes under one of a thousand keys, written now and then. */
export const sporadic = puts({ prefix: 'sporadic', keys: 1_000, length: valueBytes })

/** Reads a sample of what the operations up to `done` left, and throws when a key holds something else. */
export const verify = async ({ prefix, keys, expected }, store, done) => {
  const first = Math.max(0, done - keys)
  const step = Math.max(1, Math.floor((done - first) / 50))
  for (let number = done - 1; number >= first; number -= step) {
    const key = keyOf(prefix, keys, number)
    const found = await store.get(key)
    const wanted = expected(number)
    const isRight = wanted === undefined ? found === undefined : wanted.equals(found ?? noBytes)
    if (!isRight) throw new Error(`${key} does not hold what operation ${number} left`)
  }
}

const noBytes = Buffer.alloc(0)

/** Throws when the store does not have as many keys as the operations left. */
export const verifyCount = async ({ prefix, keys, expected }, store, done) => {
  let wanted = 0
  for (let number = Math.max(0, done - keys); number < done; number++)
    if (expected(number) !== undefined) wanted++
  const found = await store.count(prefix)
  if (found !== wanted) throw new Error(`${found} keys of ${prefix}, not ${wanted}`)
}
