// Draws places on a map of the world that any terminal can show: two by four dots in each Braille character.

const dots = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
]

/** A map of `[longitude, latitude]` pairs, `columns` characters wide, as lines. Antarctica is left out: no cities. */
export const worldMap = (places, columns = 96) => {
  const rows = Math.round(columns * 0.22)
  const cells = Array.from({ length: rows }, () => new Uint8Array(columns))
  for (const [longitude, latitude] of places) {
    const x = Math.min(columns * 2 - 1, Math.floor(((longitude + 180) / 360) * columns * 2))
    const y = Math.floor(((78 - latitude) / (78 + 56)) * rows * 4)
    if (y < 0 || y >= rows * 4) continue
    cells[y >> 2][x >> 1] |= dots[y & 3][x & 1]
  }
  return cells.map(lineOf)
}

const lineOf = (row) => Array.from(row, (bits) => String.fromCodePoint(0x2800 + bits)).join('')
