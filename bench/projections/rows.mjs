/** The rows that the benches of projections write, by number, so that each can be told to be right when it is read. */

const cities = 1_000

/** Numbers below `count` in an order that looks like chance and is the same in each run. */
export const shuffled = (count) => {
  const numbers = Uint32Array.from({ length: count }, (_, index) => index)
  let seed = 1
  for (let at = count - 1; at > 0; at--) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    const other = seed % (at + 1)
    ;[numbers[at], numbers[other]] = [numbers[other], numbers[at]]
  }
  return numbers
}

/**
 * The two kinds of values, 100 bytes or about as much, and what tells the value of a number from another. An object moves to
 * another city in each round.
 */
export const kinds = {
  bytes: {
    make: (number) => {
      const value = Buffer.alloc(100, 7)
      value.writeUInt32LE(number)
      return value
    },
    numberOf: (value) => value.readUInt32LE(0),
  },
  objects: {
    make: (number, round = 0) => ({
      number,
      name: `user ${number}`,
      city: `city-${(number + round) % cities}`,
      about: 'x'.repeat(24),
    }),
    numberOf: (value) => value.number,
  },
}

/** Where a number's row is in the order of keys. */
export const keyOf = (kind, number) => `${kind}:${1e9 + number}`

/** Three projections of the rows of objects: an index, a copy of a field, and sums. */
export const projects = [
  ({ key, before, after }) => {
    const rows = []
    if (before) rows.push({ kind: 'delete', key: `${before.city}/${key}` })
    if (after) rows.push({ kind: 'put', key: `${after.city}/${key}`, value: after.name })
    return rows
  },
  ({ key, after }) => [after ? { kind: 'put', key, value: after.number } : { kind: 'delete', key }],
  ({ before, after }) => {
    if (before?.city === after?.city) return []
    const rows = []
    if (before) rows.push({ kind: 'add', key: before.city, by: -1 })
    if (after) rows.push({ kind: 'add', key: after.city, by: 1 })
    return rows
  },
]
